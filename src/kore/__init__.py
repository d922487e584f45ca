"""A web application platform: the public names, each loaded when it is first used.

`__init__.pyi` lists them with their types, `_api/lazy.py` says where each is. The parent imports
this package, too, and uses none of them: it may be root, and is small.
"""

from kore import _context as _context  # tells a program that nothing has served it
from kore._api.lazy import list_names as __dir__
from kore._api.lazy import load_name as __getattr__
