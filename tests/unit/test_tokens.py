"""The token file: made for its owner alone, and relied on only where nobody else could have read or written it (RULE 13d)."""

import stat

import pytest

from reconciler.tokens import TokenError, keep_token, read_token


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db.token"


def test_a_token_is_made_once_for_its_owner_alone_and_kept(path):
    token = keep_token(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 43, "256 bits"
    assert keep_token(path) == read_token(path) == token


def test_two_daemons_have_different_tokens(path, tmp_path):
    assert keep_token(path) != keep_token(tmp_path / "other")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o601, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused_without_telling_what_is_in_it(path, mode):
    token = keep_token(path)
    path.chmod(mode)
    with pytest.raises(TokenError) as caught:
        keep_token(path)
    assert token not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_group_may_read_it_as_a_mounted_secret_has_it(path):
    token = keep_token(path)
    path.chmod(0o440)
    assert read_token(path) == token


@pytest.mark.parametrize(
    "text", ["", "short", "two words of a sentence", "x" * 5000, "ünïcödé-ünïcödé-ünïcödé", "first-line-first-line\nsecond-line"]
)
def test_what_is_no_token_is_refused_and_nothing_is_written_over_it(path, text):
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(TokenError):
        keep_token(path)
    assert path.read_text() == text


def test_no_token_is_written_through_a_link_to_nowhere(path, tmp_path):
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError):
        keep_token(path)
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_is_no_token(path):
    path.mkdir()
    with pytest.raises((TokenError, OSError)):
        keep_token(path)
