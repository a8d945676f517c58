"""The table: importing this package fills model.CASES."""

from cases import assembler, changes, debug, dependencies, diagnostics, environment        # noqa: F401
from cases import includes, instrument, local, names, options, outputs, processes          # noqa: F401
