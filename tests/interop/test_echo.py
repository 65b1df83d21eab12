"""Verification, by dcmtk and pynetdicom."""

import subprocess

import pytest
from pynetdicom import build_context
from pynetdicom.sop_class import Verification

from dcmtk import dcmtk


def test_echoscu_is_answered(shared):
    assert dcmtk("echoscu", shared).returncode == 0


def test_echoscu_with_every_transfer_syntax(shared):
    assert dcmtk("echoscu", shared, "-pts", "38").returncode == 0


def test_echoscu_with_128_presentation_contexts(shared):
    assert dcmtk("echoscu", shared, "-ppc", "128").returncode == 0


def test_echo_repeated_on_one_association(shared):
    assert dcmtk("echoscu", shared, "--repeat", "50").returncode == 0


def test_pynetdicom_echo_status(shared):
    association = shared.associate([build_context(Verification)])
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_gantry_echo_command(shared):
    import gantry

    done = gantry.run("echo", f"{shared.ae_title}@{shared.host}:{shared.port}", check=False)
    assert done.returncode == 0, done.stderr
    unreachable = gantry.run("echo", f"{shared.ae_title}@{shared.host}:1", check=False)
    assert unreachable.returncode != 0


@pytest.mark.parametrize("tool", ["echoscu", "storescu", "findscu", "movescu", "getscu", "storescp", "dcmsend"])
def test_dcmtk_is_installed(tool):
    assert subprocess.run([tool, "--version"], capture_output=True).returncode == 0
