"""The profile of a run opens, and tells of the steps."""

import jax

from ae_jax.experiments import configuration, rundir, runner


def test_a_profile_holds_what_the_devices_did(tmp_path):
    config = configuration.load("configs/vae.py:smoke")
    config.train.update(steps=6, log_every=3, eval_every=0, checkpoint_every=6)
    runner.train_run(config, str(tmp_path / "run"), say=lambda *_, **__: None, profile=True)
    run = rundir.RunDir(tmp_path / "run")
    (trace,) = run.profile.rglob("*.xplane.pb")
    events = {event.name for plane in jax.profiler.ProfileData.from_file(str(trace)).planes
              for line in plane.lines for event in line.events}  # fmt: skip
    assert any("while" in name for name in events), sorted(events)[:50]
    assert [line["step"] for line in rundir.read_lines(run.timings)] == [3, 6]
    versions = run.versions.read_text()
    assert '"compile_seconds"' in versions
