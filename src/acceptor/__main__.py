"""`python -m acceptor`: the command line."""

from acceptor.cli import main

main()
