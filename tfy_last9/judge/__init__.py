"""What it means: counts per objective and group to findings, findings to a verdict. No IO, no clock."""
