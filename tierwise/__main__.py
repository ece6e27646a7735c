"""``python -m tierwise``: the command line, where its script is not on the path."""

from tierwise.cli.main import run

if __name__ == "__main__":
    run()
