"""Import modules of the standard library when they are first used.

The parent lives as long as the server and is small. Some modules of the standard library import
others that the parent never uses: `dataclasses` imports `inspect`, which brings `ast`, `dis` and
`tokenize`; `urllib.parse` imports `ipaddress`.
"""

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class DelayedModule(ModuleType):
    """A module that runs when an attribute is asked for that it does not have yet.

    `importlib.util.LazyLoader` makes such modules, too. Before Python 3.12 they run at the next
    `import` statement already, which asks for `__spec__`.
    """

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        # Nothing is delayed any more. To mypy, __class__ is a type of this class.
        self.__class__ = ModuleType  # type: ignore[assignment]
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(self)
        return getattr(self, name)


def delay_imports(*names: str) -> None:
    """Have modules run when they are first used, unless they have run already.

    Of no use for one that is imported for some of its names (`from module import name`).
    """
    for name in names:
        spec = None if name in sys.modules else find_spec(name)
        if spec is not None:
            module = module_from_spec(spec)
            module.__class__ = DelayedModule
            sys.modules[name] = module
