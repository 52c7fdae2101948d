# SPDX-License-Identifier: MIT
"""What the environment says of a process: whether it is recorded, and what it is called."""
import gzip
import json
import re
import shutil

import place
import pytest
import recording

OTEL, DD, OWN = {"OTEL_SERVICE_NAME": "otel"}, {"DD_SERVICE": "dog"}, {"PILLION_LABELS": "service=own"}


def labels(one_python, work, env):
    here = place.of(one_python)
    recording.record_ok(one_python, ["-c", "pass"], work, env=env)
    told = json.loads(here.run([here.pillion, "info", "--json", work / "out.pillion"]).stdout)
    return told["processes"][0]["labels"]


@pytest.mark.parametrize("env, service", [
    ({}, None), (DD, "dog"), (OTEL, "otel"), ({**DD, **OTEL}, "otel"), ({**DD, **OTEL, **OWN}, "own"),
    ({"OTEL_SERVICE_NAME": "", **DD}, "dog")])
def test_the_service_is_named_by_who_knows_best(one_python, work, env, service):
    assert labels(one_python, work, env) == ({"service": service} if service else {})


def test_labels_of_any_kind(one_python, work):
    env = {"PILLION_LABELS": "env=prod,nonsense,=x,equation=a=b,empty=,word=zwölf", **OTEL}
    assert labels(one_python, work, env) == {
        "env": "prod", "equation": "a=b", "empty": "", "word": "zwölf", "service": "otel"}
    assert recording.load(work / "out.pillion").notes == ["ignored bad values, using the defaults: PILLION_LABELS"]


def test_they_are_shown(here, one_python, work):
    burn = "import time\ne = time.thread_time() + .2\nwhile time.thread_time() < e: pass"
    recording.record_ok(one_python, ["-c", burn], work, options=["--label", "env=prod", "--label", "zone=b"])
    for verb in ("report", "info"):
        text = here.run([here.pillion, verb, work / "out.pillion"]).stdout
        assert "labels     env=prod, zone=b\n" in text
    here.run([here.pillion, "export", "-f", "pprof", "-o", work / "out.pb.gz", work / "out.pillion"])
    strings = gzip.decompress((work / "out.pb.gz").read_bytes())
    assert b"zone" in strings and b"prod" in strings


@pytest.mark.parametrize("options", [
    ["--label", "foo"], ["--label", "=x"], ["--label", "env=prod,zone"], ["--label", "a=b", "--label", "c"],
    *(["--signal", number] for number in ("9", "19", "11", "17", "32", "33", "65"))], ids=" ".join)
def test_a_value_that_is_of_no_use_is_refused(here, work, options):
    result = here.run([here.pillion, "record", *options, "-o", work / "x", "--", "touch", work / "ran"])
    assert (result.returncode, result.stdout) == (2, "") and not list(work.iterdir()), result
    line, = result.stderr.splitlines()
    assert "%s wants" % options[-2] in line and "not '%s'" % options[-1] in line


@pytest.mark.parametrize("option", ["--include", "--exclude", "--label"])
def test_a_list_that_is_too_long_for_the_library_is_refused(here, work, option):
    """Of PILLION_EXCLUDE, it would leave out all: everything would be recorded."""
    def run(*values):
        options = [word for value in values for word in (option, value)]
        return here.run([here.pillion, "record", *options, "-o", work / "x", "--", "touch", work / "ran"])
    result = run("a=" + "b" * 500, "c=" + "d" * 519)
    assert result.returncode == 2 and option + " takes no more than 1023 bytes" in result.stderr, result
    assert not (work / "ran").exists()
    result = run("a=" + "b" * 500, "c=" + "d" * 518)
    assert result.returncode == 0 and (work / "ran").exists(), result


@pytest.mark.parametrize("number", [9, 19, 11, 33])
def test_a_signal_that_is_of_no_use_is_noted_and_another_one_taken(one_python, work, number):
    burn = "import time\ne = time.thread_time() + .2\nwhile time.thread_time() < e: pass"
    profile, _ = recording.record_ok(one_python, ["-c", burn], work, env={"PILLION_SIGNAL": str(number)})
    assert profile.notes == ["ignored bad values, using the defaults: PILLION_SIGNAL"]
    assert profile.total("cpu_ns") > 0.1e9


@pytest.mark.parametrize("env, recorded", [
    ({"PILLION_INCLUDE": "*"}, True),
    ({"PILLION_INCLUDE": "*wanted*"}, True),
    ({"PILLION_INCLUDE": "other"}, False),
    ({"PILLION_INCLUDE": "other,python3*"}, True),
    ({"PILLION_INCLUDE": "*/python3*"}, True),
    ({"PILLION_EXCLUDE": "wanted"}, False),
    ({"PILLION_EXCLUDE": "*-c*wanted"}, False),
    ({"PILLION_EXCLUDE": "want,wante[x]"}, True),
    ({"PILLION_INCLUDE": "python*", "PILLION_EXCLUDE": "wanted"}, False),
    ({"PILLION_INCLUDE": "", "PILLION_EXCLUDE": ""}, True)], ids=str)
def test_processes_are_chosen_by_program_and_arguments(here, one_python, work, env, recorded):
    program = "import ctypes; is_sampling = ctypes.CDLL(None).pillion_is_sampling; "
    program += "[None for _ in iter(is_sampling, 1)]; print(1)" if recorded else "print(is_sampling())"
    result = here.run([here.pillion, "record", "-q", "-o", work / "out.pillion", "--", one_python.path, "-c",
                       program, "wanted"], env=env)
    assert (result.returncode, result.stdout) == (0, "%d\n" % recorded), result.stderr


def test_one_that_is_left_out_has_no_part_of_ours(here, one_python, work):
    program = "import os; print(len(os.listdir('/proc/self/task')), len(os.listdir('/proc/self/fd')))"
    env = dict(here.preload(work / "%p.pillion"), PILLION_EXCLUDE="python*")
    plain = here.run([one_python.path, "-c", program])
    loaded = here.run([one_python.path, "-c", program], env=env)
    assert (loaded.stdout, loaded.stderr) == (plain.stdout, plain.stderr)
    assert not list(work.iterdir())


@pytest.mark.parametrize("env, words", [
    ({"PILLION_EXCLUDE": "celery,python*"}, "PILLION_EXCLUDE: python*"),
    ({"PILLION_INCLUDE": "celery,gunicorn"}, "PILLION_INCLUDE=celery,gunicorn"),
    ({"PILLION_INCLUDE": "python*", "PILLION_EXCLUDE": "x,*import*"}, "PILLION_EXCLUDE: *import*")], ids=str)
def test_who_asks_is_told_why_one_is_left_out(here, one_python, work, env, words):
    env = dict(here.preload(work / "%p.pillion"), **env)
    command = [one_python.path, "-c", "import sys; print('ran')"]
    assert here.run(command, env=dict(env, PILLION_LOG="error")).stderr == ""
    result = here.run(command, env=dict(env, PILLION_LOG="debug"))
    line, = result.stderr.splitlines()
    assert result.stdout == "ran\n" and line.startswith("pillion[") and line.endswith(words), line


# ------------------------------------------------------------------ snippets

AWKWARD = {"PILLION_OUTPUT": "", "PILLION_LABELS": "team=a b,quote=\"'\\$x%n"}


def snippet(here, shell, env=()):
    result = here.run([here.pillion, "env", "--shell", shell], env=dict(env))
    assert result.returncode == 0 and (shell == "docker" or not result.stderr), result
    return result.stdout


def test_the_shell_takes_its_snippet(here, one_python, work):
    env = {"PILLION_LABELS": AWKWARD["PILLION_LABELS"], "PILLION_OUTPUT": str(work / "a b.%n.pillion")}
    (work / "snippet").write_text(snippet(here, "sh", env))
    result = here.run(["sh", "-c", ". ./snippet; exec %s -c pass" % one_python.path], cwd=work)
    assert (result.returncode, result.stderr) == (0, "")
    assert "LD_PRELOAD=" + here.library in (work / "snippet").read_text()
    recording.complete(work / "a b.1.pillion")
    told = json.loads(here.run([here.pillion, "info", "--json", work / "a b.1.pillion"]).stdout)
    assert told["processes"][0]["labels"] == {"team": "a b", "quote": "\"'\\$x%n"}


def words_of(here, work, text):
    """What the shell makes of it, printed one word a line."""
    return here.run(["sh", "-c", text.replace("docker run", "printf '%s\\n'", 1)], cwd=work).stdout.splitlines()


def test_docker_gets_words(here, work):
    words = words_of(here, work, snippet(here, "docker", AWKWARD))
    assert "LD_PRELOAD=/pillion/libpillion.so" in words and "PILLION_OUTPUT=/profiles/%h.%p.pillion" in words
    assert "PILLION_LABELS=" + AWKWARD["PILLION_LABELS"] in words and words[-1] == "IMAGE"


def test_docker_gets_a_directory_with_library_and_collector(here, work):
    """The library alone would find nothing to start, and say nothing of it."""
    result = here.run([here.pillion, "env", "--shell", "docker"])
    assert result.returncode == 0 and words_of(here, work, result.stdout)[1] == "PILLION:/pillion:ro"
    assert "archive for containers" in result.stderr, result.stderr
    beside = work / "beside"
    beside.mkdir()
    shutil.copy(here.pillion, str(beside))
    shutil.copy(here.library, str(beside))
    result = here.run([beside / "pillion", "env", "--shell", "docker"])
    assert (result.returncode, result.stderr) == (0, "")
    assert words_of(here, work, result.stdout)[1] == "%s:/pillion:ro" % beside


@pytest.mark.parametrize("shell, status", [("sh", 1), ("docker", 1), ("systemd", 1), ("k8s", 0)])
def test_a_path_that_ld_preload_cannot_hold_is_in_no_snippet(here, work, shell, status):
    """A link that `record` makes of it is gone when it ends."""
    prefix = work / "a place: with $odd name"
    shutil.copytree(str(here.prefix), str(prefix), symlinks=True)
    result = here.run([prefix / "bin" / "pillion", "env", "--shell", shell])
    assert result.returncode == status and bool(result.stdout) == (not status)
    assert ("move pillion" in result.stderr) == bool(status), result.stderr


def test_systemd_gets_its_percent_signs_doubled(here):
    lines = snippet(here, "systemd", AWKWARD).splitlines()
    assert lines[0] == "[Service]" and 'Environment="LD_PRELOAD=%s"' % here.library in lines
    assert 'Environment="PILLION_OUTPUT=/var/lib/pillion/%%e.%%p.pillion"' in lines
    assert 'Environment="PILLION_LABELS=team=a b,quote=\\"\'\\\\$x%%n"' in lines


def test_kubernetes_gets_strings(here):
    text = snippet(here, "k8s", AWKWARD)
    values = dict(re.findall(r'\{ name: (\w+), value: ("(?:[^"\\]|\\.)*") \}', text))
    assert {k: json.loads(v) for k, v in values.items()} == {
        "LD_PRELOAD": "/pillion/libpillion.so", "PILLION_OUTPUT": "/profiles/%h.%p.pillion",
        "PILLION_LABELS": AWKWARD["PILLION_LABELS"]}


def test_a_snippet_keeps_no_secret(here):
    assert "TOKEN" not in "".join(snippet(here, shell, {"PILLION_TOKEN": "0" * 32})
                                  for shell in ("sh", "docker", "k8s", "systemd"))
