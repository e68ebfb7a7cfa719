"""`python -m dlp_local`."""

from dlp_local.cli import main

if __name__ == "__main__":
    main()
