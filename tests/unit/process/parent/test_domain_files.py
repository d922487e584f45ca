"""The files of a domain: opened, and seen to change, as renewals change them."""

import os
import socket
from pathlib import Path

import pytest

from kore._conf.server_schema import CertificateFiles, DomainTls
from kore._process.ipc.channel import close_descriptors
from kore._process.parent.domain_files import SIZE_MAX, DomainFiles


class Place:
    """A directory with the files of a domain."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.certificate, self.key = path / "c.pem", path / "k.pem"
        self.certificate.write_text("certificate")
        self.key.write_text("key")
        # The clock of file systems is coarse.
        os.utime(self.key, (0, 0))
        files = (CertificateFiles(str(self.certificate), str(self.key)),)
        self.domain = DomainTls("a.test", "tls", files)
        self.files = DomainFiles(self.domain)

    def open(self) -> tuple[str, ...]:
        """Open the files; return the problems."""
        descriptors, problems = self.files.open_all()
        close_descriptors(descriptors)
        return problems


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_descriptors_are_in_the_order_of_kinds_and_paths(place: Place) -> None:
    (place.path / "ca").write_text("ca")
    (place.path / "crl").write_text("crl")
    files = DomainFiles(
        DomainTls(
            "a.test",
            "tls",
            place.domain.certificates * 2,
            client_verify=str(place.path / "ca"),
            crl=str(place.path / "crl"),
        )
    )

    descriptors, problems = files.open_all()

    assert problems == ()
    assert files.kinds == ("certificate", "key", "certificate", "key", "client_verify", "crl")
    contents = [os.read(fd, 100).decode() for fd in descriptors]
    assert contents == ["certificate", "key", "certificate", "key", "ca", "crl"]
    assert not any(map(os.get_inheritable, descriptors))
    close_descriptors(descriptors)


def test_each_file_that_cannot_be_opened_gets_a_line(place: Place) -> None:
    place.certificate.unlink()
    place.key.unlink()

    assert place.files.find_problems() == (
        f"certificate {place.certificate}: No such file or directory",
        f"key {place.key}: No such file or directory",
    )


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_large(path: Path) -> None:
    path.touch()
    os.truncate(path, SIZE_MAX + 1)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Path.mkdir, "it is not a regular file"),
        (make_fifo, "it is not a regular file"),
        (make_device, "it is not a regular file"),
        (make_socket, "No such device or address"),
        (make_large, "larger than 16 MiB"),
    ],
    ids=["directory", "fifo", "device", "socket", "large"],
)
def test_what_cannot_be_a_key_is_refused_without_waiting(
    place: Place, make: object, problem: str
) -> None:
    place.key.unlink()
    make(place.key)  # type: ignore[operator]

    assert place.files.find_problems() == (f"key {place.key}: {problem}",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_gets_a_line(place: Place) -> None:
    place.key.chmod(0)

    assert place.files.find_problems() == (f"key {place.key}: Permission denied",)


def test_unchanged_files_are_unchanged(place: Place) -> None:
    place.open()

    assert not place.files.is_changed()
    assert not place.files.is_changed()


def write_in_place(place: Place) -> None:
    place.key.write_text("changed")


def write_same_size(place: Place) -> None:
    place.key.write_text("yek")


def rename(place: Place) -> None:
    new = place.path / "new"
    new.write_text("key")
    new.rename(place.key)


def remove(place: Place) -> None:
    place.key.unlink()


def restrict(place: Place) -> None:
    place.key.chmod(0o400)


@pytest.mark.parametrize("change", [write_in_place, write_same_size, rename, remove, restrict])
def test_a_change_is_seen_when_it_is_over(place: Place, change: object) -> None:
    place.key.chmod(0o600)
    place.open()
    change(place)  # type: ignore[operator]

    assert not place.files.is_changed(), "it may go on"
    assert place.files.is_changed()
    place.open()
    assert not place.files.is_changed(), "it is not seen again"


def test_a_change_of_a_symbolic_link_is_seen(place: Place) -> None:
    live, archive = place.path / "live", place.path / "archive"
    archive.mkdir()
    for number in "12":
        (archive / number).write_text(number)
    live.symlink_to("archive/1")
    files = DomainFiles(DomainTls("a", "tls", (CertificateFiles(str(live), str(place.key)),)))
    close_descriptors(files.open_all()[0])
    live.unlink()
    live.symlink_to("archive/2")

    assert [files.is_changed() for _ in range(2)] == [False, True]


def test_a_change_in_steps_is_seen_once_it_is_over(place: Place) -> None:
    place.open()
    seen = []
    for step in range(3):
        place.certificate.write_text("half" * (step + 1))
        seen.append(place.files.is_changed())
    place.key.write_text("new")

    assert [*seen, place.files.is_changed()] == [False] * 4
    assert place.files.is_changed()


def test_a_change_between_opening_and_looking_is_seen(place: Place) -> None:
    place.open()
    write_in_place(place)
    place.files.is_changed()

    assert place.files.is_changed()


def test_files_that_were_taken_back_count_as_changed_only_by_their_inode(place: Place) -> None:
    place.open()
    saved = place.path / "saved"
    place.key.rename(saved)
    assert not place.files.is_changed()
    assert place.files.is_changed()
    place.open()
    saved.rename(place.key)

    assert [place.files.is_changed() for _ in range(2)] == [False, True]
