"""Does with a seed folder what cloud-init does with a seed at first boot.

Usage: process.py SEED_FOLDER RENDERER...

Prints as JSON: the instance ID, the cloud config that results from all parts of
the user data, and the files that each network renderer writes. Everything is
cloud-init's own code; this only calls it in the order of its stages. It was
written for 22.4.2 (Debian 12). No package needs to be installed; beside
cloud-init, what python3 lacks of its dependencies is unpacked in the same way:

    apt-get download cloud-init python3-configobj python3-oauthlib ...
    for p in *.deb; do dpkg -x $p DIR; done
    CLOUD_INIT_PYTHONPATH=DIR/usr/lib/python3/dist-packages go test -run CloudInit .
"""

import json
import os
import shutil
import sys
import tempfile

import yaml

from cloudinit import distros, handlers, helpers, user_data
from cloudinit.handlers.cloud_config import CloudConfigPartHandler
from cloudinit.handlers.jinja_template import JinjaTemplatePartHandler
from cloudinit.net import eni, netplan, network_state, networkd
from cloudinit.settings import PER_INSTANCE
from cloudinit.sources import DataSourceNoCloud

RENDERERS = {"eni": eni.Renderer, "netplan": netplan.Renderer, "networkd": networkd.Renderer}


def main(seed, renderers):
    top = tempfile.mkdtemp()
    try:
        paths = helpers.Paths({"cloud_dir": top + "/lib", "run_dir": top + "/run"})
        os.makedirs(paths.run_dir)
        shutil.copytree(seed, paths.seed_dir + "/nocloud")
        distro = distros.fetch("debian")("debian", {}, paths)
        source = DataSourceNoCloud.DataSourceNoCloud({}, distro, paths)
        paths.datasource = source
        if not source.get_data():
            sys.exit("NoCloud does not take the seed")
        source.persist_instance_data()
        result = {
            "instance-id": source.get_instance_id(),
            "hostname": source.get_hostname().hostname,
            "config": merged(source, paths),
            "network": {r: rendered(source, r) for r in renderers},
        }
        json.dump(result, sys.stdout, indent=2, sort_keys=True)
        print()
    finally:
        shutil.rmtree(top)


def merged(source, paths):
    """stages.Init._do_handlers with the handlers that matter."""
    message = user_data.UserDataProcessor(paths).process(source.get_userdata_raw())
    config = CloudConfigPartHandler(paths)
    target = paths.get_ipath_cur() + "/merged.yaml"
    os.makedirs(os.path.dirname(target))
    config.cloud_fn = target
    jinja = JinjaTemplatePartHandler(paths, sub_handlers=[config])
    known = helpers.ContentHandlers()
    known.register(config)
    known.register(jinja)
    for h in (config, jinja):
        handlers.call_begin(h, None, PER_INSTANCE)
    handlers.walk(message, handlers.walker_callback, data={
        "handlers": known, "handlerdir": None, "data": None,
        "frequency": PER_INSTANCE, "handlercount": 0, "excluded": [],
    })
    for h in (config, jinja):
        handlers.call_end(h, None, PER_INSTANCE)
    with open(target) as f:
        return yaml.safe_load(f)


def rendered(source, renderer):
    state = network_state.parse_net_config_data(source.network_config)
    target = tempfile.mkdtemp()
    try:
        config = {}
        if renderer == "netplan":
            config["postcmds"] = False
        RENDERERS[renderer](config).render_network_state(state, target=target)
        files = {}
        for folder, _, names in os.walk(target):
            for name in names:
                with open(os.path.join(folder, name)) as f:
                    files[os.path.relpath(os.path.join(folder, name), target)] = f.read()
        return files
    finally:
        shutil.rmtree(target)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
