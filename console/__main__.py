"""`python -m console` is `fleet`."""

from console.cli import main

if __name__ == "__main__":
    main()
