"""The driver that DRIVER names."""

import os
from importlib import import_module

module = import_module(f"database_{os.environ['DRIVER']}")
driver, ready = module.driver, module.ready
