"""`python -m strongdm_auth` is the command `strongdm-auth`."""

import sys

from strongdm_auth.cli import main

if __name__ == "__main__":
    sys.exit(main())
