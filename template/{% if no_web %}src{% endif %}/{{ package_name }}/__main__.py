"""The command line of this service."""

from .commands import app as app

if __name__ == "__main__":
    app()
