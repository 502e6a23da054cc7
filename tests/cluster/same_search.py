"""same_search.py FOUND WHOLE: both from `lcsc status --json --candidates`. FOUND is a finished search whose candidates
are WHOLE's first ones: the same ids, parents and coefficients, bit for bit, and scores within 1e-6 relative."""
import json
import sys

found, whole = (json.load(open(path)) for path in sys.argv[1:3])
expected = whole["candidates"][: len(found["candidates"])]
assert found["state"] == "done", f"{sys.argv[1]}: {found['state']}"
assert found["evaluations"] == found["planned_evaluations"] == len(expected) > 3, f"{sys.argv[1]}: {len(expected)}"
for one, other in zip(found["candidates"], expected):
    for key in ("id", "parents", "coefficients"):
        assert one[key] == other[key], f"{sys.argv[1]}: candidate {one['id']}: {key}: {one[key]}, expected {other[key]}"
    assert abs(one["score"] - other["score"]) <= 1e-6 * other["score"], f"{sys.argv[1]}: candidate {one['id']}: score"
print(f"{sys.argv[1]}: {len(expected)} candidates, the same as in {sys.argv[2]}")
