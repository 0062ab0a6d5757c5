"""Does with a seed folder what cloudbase-init does with a seed at first boot.

Usage: process.py SEED_FOLDER

Prints as JSON what it asks of Windows: the computer's name, the calls that set up
the network, the files that it writes, the users, the time servers and the script.
Everything is cloudbase-init's own code but the operating system under it, which
only takes notes. It was written for 1.1.9. No package needs to be installed; what
python3 lacks of its dependencies is unpacked beside it:

    git clone https://github.com/cloudbase/cloudbase-init DIR
    apt-get download python3-netaddr python3-oslo.log python3-jinja2 python3-untangle ...
    for p in *.deb; do dpkg -x $p DIR; done
    CLOUDBASE_INIT_PYTHONPATH=DIR:DIR/usr/lib/python3/dist-packages go test -run CloudbaseInit .
"""

import base64
import json
import ntpath
import sys
import types

from cloudbaseinit.metadata.services import nocloudservice
from cloudbaseinit.osutils import factory
from cloudbaseinit.plugins.common import networkconfig, sethostname, userdata
from cloudbaseinit.plugins.common.userdataplugins.cloudconfigplugins import runcmd, write_files


class Windows:
    """Takes notes of what it is asked to do."""

    def __init__(self):
        self.calls = []

    def get_default_script_exec_header(self):
        return "rem cmd"

    def get_maximum_password_length(self):
        return 20

    def generate_random_password(self, _):
        return "(random)"

    def user_exists(self, _):
        return False

    def get_network_adapter_name_by_mac_address(self, mac):
        return "adapter " + mac

    def get_user_home(self, _):
        return None

    def __getattr__(self, name):
        def call(*args, **_):
            self.calls.append([name, *args])
            return False

        return call


def main(folder):
    windows, files, scripts = Windows(), [], []
    factory.get_os_utils = lambda: windows
    # Paths are as on Windows.
    write_files.os = types.SimpleNamespace(path=ntpath)
    write_files._write_file = lambda path, content, permissions, mode: files.append(
        {"path": path, "permissions": oct(permissions), "mode": mode, "content": base64.b64encode(content).decode()})
    runcmd.userdatautils = types.SimpleNamespace(
        execute_user_data_script=lambda script: scripts.append(script.decode()) or 0)

    service = nocloudservice.NoCloudConfigDriveService()
    service._metadata_path = folder
    for plugin in sethostname.SetHostNamePlugin, networkconfig.NetworkConfigPlugin, userdata.UserDataPlugin:
        plugin().execute(service, {})
    json.dump({"instance-id": service.get_instance_id(), "calls": windows.calls, "files": files, "scripts": scripts},
              sys.stdout, indent=2, sort_keys=True)
    print()


if __name__ == "__main__":
    main(sys.argv[1])
