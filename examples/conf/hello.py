"""The functions that kore.conf names."""

import kore


def index(req):
    req.response(200, b"hello world\n")


async def user(req, name):
    req.response(200, f"hello {name}\n")


def loaded(action):
    if action == kore.MODULE_LOAD:
        kore.log(kore.LOG_INFO, f"worker {kore.worker()} has loaded hello.py")


def kore_parent_configure(args):
    kore.log(kore.LOG_INFO, f"configured with {args[1:]}")
