"""``python -m tierwise``: the command line, where its script is not on the path."""

from tierwise.entry import run

if __name__ == "__main__":
    run()
