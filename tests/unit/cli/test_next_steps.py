"""Commands that the console prints can be pasted into a shell."""

from tfy_last9.cli.judging import runnable


def test_a_step_names_the_folder_as_a_shell_reads_it():
    steps = ("see the worst: tfy-last9 traces r1 --missing", "run the gate again")
    assert runnable(steps, "r1", "runs/r1") == (
        "see the worst: tfy-last9 traces runs/r1 --missing",
        "run the gate again",
    )
    assert runnable(steps, "r1", "my runs/r1")[0] == (
        "see the worst: tfy-last9 traces 'my runs/r1' --missing"
    )


def test_a_run_named_like_a_word_leaves_options_and_words_alone():
    """A run called `fail` made `--failed` into `--runs/failed`."""
    steps = ("see what fail means: tfy-last9 traces fail --where provider=fail --failed",)
    assert runnable(steps, "fail", "runs/fail") == (
        "see what fail means: tfy-last9 traces runs/fail --where provider=fail --failed",
    )
