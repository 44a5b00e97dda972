"""`python -m portal.cli`, the same as `doorward`."""

from portal.cli import main

if __name__ == "__main__":
    main()
