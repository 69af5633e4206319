"""The command line of this service."""

from .commands import app as app
from .web.commands import serve

app.command()(serve)

if __name__ == "__main__":
    app()
