"""What every constraint promises, as one function that its test calls; shipped for constraints from outside too.

A distribution that adds a kind by the entry point group ``tierwise.constraints`` proves it as those of
`placement.constraints` are proved, with a function that makes valid data of it for any small problem:

    @given(st.integers(0, 2**32 - 1))
    def test_it_keeps_its_promises(seed: int) -> None:
        keeps_promises(sample, seed)

`promises` has the suite, `recorded` a kernel that judges finished plans, `scenes` problems to tell single facts by,
and `chance` parts of samples. docs/how-to/add-a-constraint.md leads through it.
"""

from tierwise.testing.constraints.promises import Sample, keeps_promises

__all__ = ["Sample", "keeps_promises"]
