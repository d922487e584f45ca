"""How many CPUs this process may use."""

from pathlib import Path

import pytest

from kore._conf.cpus import read_cgroup_limits


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "limits"),
    [
        ("0::/", {"cpu.max": "150000 100000\n"}, [1.5]),
        ("0::/", {"cpu.max": "max 100000\n"}, []),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, [2.0]),
        ("0::/a/b", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "300000 100000"}, [0.5, 3.0]),
        # In a container, where the path is that of the host.
        ("0::/docker/x", {"cpu.max": "100000 100000"}, [1.0]),
        (
            "4:cpu,cpuacct:/a\n1:name=systemd:/a",
            {"cpu/a/cpu.cfs_quota_us": "250000", "cpu/a/cpu.cfs_period_us": "100000"},
            [2.5],
        ),
        (
            "4:cpuacct,cpu:/",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            [],
        ),
        ("0::/../../x", {}, []),
        ("0::/", {"cpu.max": "rubbish"}, []),
        ("0::/", {"cpu.max": "1 0"}, []),
        ("rubbish", {}, []),
        ("", {}, []),
    ],
)
def test_limits_of_control_groups(
    tmp_path: Path, own: str, files: dict[str, str], limits: list[float]
) -> None:
    (tmp_path / "own").write_text(own)
    root = tmp_path / "cgroup"
    write(root, files)

    assert list(read_cgroup_limits(root, tmp_path / "own")) == limits


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert list(read_cgroup_limits(tmp_path, tmp_path / "none")) == []
