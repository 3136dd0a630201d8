"""`make_platform.py` under the name that the demo and the tests call it by.

The standard library has a module of this name too. Whoever imports that with this folder first on the path gets it.
"""

import sys

if __name__ == "__main__":
    sys.path.append(sys.path.pop(0))
    from make_platform import main

    main()
else:
    import importlib.util
    import os
    import sysconfig

    _spec = importlib.util.spec_from_file_location("platform", os.path.join(sysconfig.get_path("stdlib"), "platform.py"))
    sys.modules["platform"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["platform"])
