"""ICE candidates that come at other times than one would expect."""

from __future__ import annotations

from tests.support.node import report_of
from tests.support.paths import ROOT


def test_candidates_that_come_before_their_description_wait_for_it() -> None:
    folder = (ROOT / "static" / "client").as_uri()
    script = f"""
      import {{ Candidates }} from "{folder}/candidates.js";
      import {{ EarlyCandidates }} from "{folder}/early_candidates.js";
      const added = [];
      const addIceCandidate = async ({{ candidate }}) => added.push(candidate);
      const pc = {{ remoteDescription: null, addIceCandidate }};
      const candidates = new Candidates();
      const of = (candidate, from_connection) => ({{ candidate, from_connection }});
      await candidates.take(pc, null, of("a", "x.1"));
      await candidates.take(pc, null, of("of another", "y.1"));
      const before = [...added];
      pc.remoteDescription = {{}};
      candidates.addEarly(pc, "x.1");
      await candidates.take(pc, "x.1", of("b", "x.1"));
      const early = new EarlyCandidates();
      for (let i = 0; i < 1000; i += 1) early.keep("ben", i);
      const kept = early.take("ben").length;
      console.log(JSON.stringify([before, added, kept, early.take("ben")]));
    """
    assert report_of("--input-type=module", "-e", script) == [[], ["a", "b"], 100, []]
