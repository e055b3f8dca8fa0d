"""`python -m acceptor`: the command line."""

from acceptor.cli.app import main

main()
