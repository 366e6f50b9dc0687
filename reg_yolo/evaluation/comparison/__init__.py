"""Arms compared by the records of their runs: figures of a run, paired differences, verdicts, tables and plots."""
