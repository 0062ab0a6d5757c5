"""Prints as JSON what cloudbase-init's own code makes of a configuration.

Usage: configuration.py FILE

internal/bootstrap/testdata/cloudbaseinit/process.py tells how cloudbase-init is to
be had.
"""

import json
import sys

from cloudbaseinit import conf
from cloudbaseinit.utils import classloader

conf.CONF(["--config-file", sys.argv[1]])
options = conf.CONF
loader = classloader.ClassLoader()
json.dump({
    "Plugins": [loader.load_class(path).__name__ for path in options.plugins],
    "Services": [loader.load_class(path).__name__ for path in options.metadata_services],
    "Types": list(options.config_drive.types), "Locations": list(options.config_drive.locations),
    "Wider": options.config_drive.raw_hdd or options.config_drive.vfat,
    "Reboots": options.allow_reboot, "Debug": options.debug, "Serial": options.logging_serial_port_settings,
    "Log": options.log_dir + options.log_file,
}, sys.stdout)
