"""JSON over HTTP: what is worth trying again, until when, and what a failure says.

A key is never part of what is said.
"""

from __future__ import annotations

import json
import math
import random
import re
import socket
import ssl
import threading
import time
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from blindspot import __version__
from blindspot.errors import line
from blindspot.models.served.settings import KEYS, ServerSettings, api_key

#: Answers of a server that is busy, restarting, or behind a gateway that is; 501 is none of them.
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 507, 508, 509, 520, 521, 522, 524, 529})
_DENIED = frozenset({401, 403})
#: What servers say of a prompt that their policy does not allow.
POLICY = re.compile(r"content.?(?:policy|filter|management)|policy.violation|moderat|flagged", re.I)
#: Seconds of the first wait, which doubles, of the longest, and to connect, which Ctrl-C waits for.
_FIRST_WAIT_S, _LONGEST_WAIT_S, _CONNECT_S = 0.5, 30.0, 4.0
#: Seconds in which a server must answer at first; later the deadline of a request counts.
FIRST_CONTACT_S = 10.0
#: Seconds between two tries of a server that has answered nothing for a whole deadline.
_PROBE_S = 10.0
#: Bytes of a reply: the log-probabilities of 4,000 tokens take 1 MB.
_LARGEST = 64 * 2**20
#: Remedies: of a key, of a certificate, of authorities that cannot be read.
_SET_KEY = f"set the key in {KEYS[0]}"
_TRUST = "if it is your own, set SSL_CERT_FILE to a file with it or with what signed it"
_AUTHORITIES = "set SSL_CERT_FILE to a file with certificates, or unset it"
#: Remedies: of a server that cannot be reached, of one that cannot answer yet, and of a web page.
_START = "start the server, or correct base_url"
_READY = "wait until it is ready"
_PAGE = "correct base_url, which usually ends in /v1"
#: What OpenSSL calls a certificate of another name or another address.
_OTHER_NAMES = frozenset({62, 64})
#: Characters of a server's message that are shown.
_SHOWN = 200


class RequestError(Exception):
    """A request that stays unanswered: one sentence, and the status if there is one.

    ``advised``: the sentence with a remedy, or with advice for a run that cannot even begin.
    """

    def __init__(
        self, said: str, status: int = 0, remedy: str = "", advice: str = "look at the server"
    ) -> None:
        super().__init__(f"{said}; {remedy}" if remedy else said)
        self.status = status
        self.advised = f"{said}; {remedy or advice}"


class GoneError(RequestError):
    """A request to a server that cannot be reached."""


class _BusyError(Exception):
    """A try that failed and may be repeated, after so many seconds if the server says so.

    ``gone``: because the server could not be reached; ``advice``: as of `RequestError`.
    """

    def __init__(
        self,
        said: str,
        wait: float | None = None,
        *,
        gone: bool = False,
        advice: str = _READY,
    ) -> None:
        super().__init__(said)
        self.wait, self.gone, self.advice = wait, gone, advice


class Client:
    """The endpoints of one server; any number of threads may use it at once."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._key = api_key()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._http: httpx2.Client | None = None
        self._sockets: list[socket.socket] = []
        self._silent_since = self._probed = 0.0  # since when nothing was answered, 0 if it was
        self._denied = ""
        self._known = False
        self.requests = 0

    @property
    def silent_s(self) -> float:
        """Seconds since when nothing was answered, 0 if the last request was."""
        with self._lock:
            return time.monotonic() - self._silent_since if self._silent_since else 0.0

    def trust(self) -> None:
        """From now on wait for the server as long as the deadline of a request allows."""
        self._known = True

    def get(self, url: str, *, tries: int = 0) -> Any:
        """The JSON of an address, which is soon there. Arguments and errors as for `post`."""
        return self._asked("GET", url, None, tries, FIRST_CONTACT_S)

    def post(self, path: str, body: dict[str, Any], *, tries: int = 0) -> Any:
        """The JSON that an endpoint replies.

        Args:
            path: after the base address.
            body: sent as JSON.
            tries: how many at most; 0 for as many as the deadline allows.

        Raises:
            RequestError: it stays unanswered.
        """
        return self._asked("POST", self._settings.base_url + path, body, tries)

    def close(self) -> None:
        """Break all connections; requests that wait for a reply end with an error."""
        self._closed.set()
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)  # closing alone wakes no thread that waits
            self._sockets.clear()
            if self._http is not None:
                self._http.close()
            self._http = None

    def open(self) -> None:
        """Allow requests again after `close`."""
        self._closed.clear()

    def _asked(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None,
        tries: int,
        seconds: float = math.inf,
    ) -> Any:
        began, deadline = time.monotonic(), self._settings.deadline
        end, wait, tried = began + min(deadline, seconds), _FIRST_WAIT_S, 0
        last = end if self._known else min(end, began + FIRST_CONTACT_S)  # of another try
        self._check_alive(began)
        while True:
            tried += 1
            try:
                found = self._tried(method, url, body, end)
            except _BusyError as error:
                said, pause = str(error), wait * random.uniform(0.5, 1.0)
                if error.wait is not None:
                    pause = max(error.wait, 0.0)
                if self._closed.is_set():
                    raise RequestError("the run was ended") from None
                with self._lock:
                    self._silent_since = self._silent_since or began
                if error.wait:  # it says itself when to come again
                    end = last = began + deadline
                if tried == tries or time.monotonic() + pause >= last:
                    asks = f", and asks to wait {error.wait:.0f} s" if error.wait else ""
                    more = f" ({tried} tries in {time.monotonic() - began:.0f} s{asks})"
                    if error.gone:
                        raise GoneError(f"{said}{more}", advice=_START) from None
                    raise RequestError(f"{said}{more}", advice=error.advice) from None
                self._closed.wait(pause)
                wait = min(wait * 2, _LONGEST_WAIT_S)
            else:
                with self._lock:
                    self._silent_since = 0.0
                return found

    def _check_alive(self, now: float) -> None:
        """Do not wait a deadline for each of thousands of prompts if the server is gone.

        Raises:
            RequestError: it has not answered for a whole deadline, or refuses the key.
        """
        with self._lock:
            if self._denied:
                raise RequestError(self._denied, 401, _SET_KEY)
            silent = now - self._silent_since if self._silent_since else 0.0
            if silent < self._settings.deadline:
                return
            if now - self._probed < _PROBE_S:
                raise RequestError(f"not asked: the server has not answered for {silent:.0f} s")
            self._probed = now

    def _tried(self, method: str, url: str, body: dict[str, Any] | None, end: float) -> Any:
        """The JSON of one try.

        Raises:
            _BusyError: it may be tried again.
            RequestError: it need not be.
        """
        with self._lock:
            self.requests += 1
            try:
                http = self._http = self._http or self._connected()
            except OSError as error:  # ssl.SSLError is one
                said = error.strerror or str(error)
                said = f"its certificate cannot be checked ({said})"
                raise RequestError(said, remedy=_AUTHORITIES) from None
        left = max(end - time.monotonic(), 1.0)
        timeout = httpx2.Timeout(left, connect=min(_CONNECT_S, left), pool=None)
        try:
            with http.stream(
                method, url, json=body, timeout=timeout, extensions={"trace": self._traced}
            ) as reply:
                content = self._read(reply, end)
        except httpx2.TimeoutException as error:
            said = f"no answer in time from {self._place} ({type(error).__name__})"
            raise _BusyError(said, gone=True) from None
        except (httpx2.TransportError, httpx2.DecodingError, OSError) as error:
            raise self._broken(error) from None
        except (RuntimeError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise self._broken(error) from None  # closed meanwhile
        return self._parsed(reply, content)

    @property
    def _place(self) -> str:
        """Host and port."""
        parts = urlsplit(self._settings.base_url)
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    def _traced(self, event: str, info: dict[str, Any]) -> None:
        """Keep the sockets of connections."""
        if not event.endswith(("connect_tcp.complete", "start_tls.complete")):
            return
        found = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._sockets = [one for one in self._sockets if one.fileno() >= 0]
            if found is not None:
                self._sockets.append(found)

    def _connected(self) -> httpx2.Client:
        headers = {"User-Agent": f"blindspot/{__version__}"}
        headers["Accept-Encoding"] = "identity"
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        at_once = self._settings.concurrency
        secure = self._settings.base_url.startswith("https:")
        made = httpx2.Client(
            headers=headers,
            verify=httpx2.create_ssl_context() if secure else True,  # by SSL_CERT_FILE
            trust_env=not self._settings.is_here,  # no proxy leads to this machine
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=at_once, max_keepalive_connections=at_once),
        )
        weakref.finalize(self, made.close)  # nobody else knows when a model is no longer needed
        return made

    def _read(self, reply: httpx2.Response, end: float) -> bytes:
        """The body, unless it comes too slowly or is too large."""
        parts, size = [], 0
        for part in reply.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > _LARGEST:
                raise RequestError(f"a reply of more than {_LARGEST // 2**20} MB")
            if time.monotonic() > end:
                raise _BusyError("the reply comes too slowly")
            if self._closed.is_set():
                raise RequestError("the run was ended")
        return b"".join(parts)

    def _broken(self, error: Exception) -> Exception:
        """The error of a connection: one of certificates stays."""
        said = self._safe(str(error) or type(error).__name__)
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                named = cause.verify_code in _OTHER_NAMES
                said = self._safe(cause.verify_message or said)
                return RequestError(
                    f"its certificate is not trusted ({said})",
                    remedy="name it in base_url as its certificate does" if named else _TRUST,
                )
            if isinstance(cause, ssl.SSLError):
                return RequestError(
                    f"no secure connection ({said})",
                    remedy="a server without a certificate is base_url=http://...",
                )
            cause = cause.__cause__ or cause.__context__
        return _BusyError(f"no connection to {self._place} ({said})", gone=True)

    def _parsed(self, reply: httpx2.Response, content: bytes) -> Any:
        status = reply.status_code
        if 300 <= status < 400:
            where = self._safe(reply.headers.get("Location", "elsewhere"))
            raise RequestError(f"HTTP {status}: it moved to {where}; give that base_url", status)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
            if status < 300 and content.lstrip().startswith(b"<"):
                said = f"HTTP {status} with a web page instead of JSON"
                raise _BusyError(said, advice=_PAGE) from None
            if status < 300:
                raise _BusyError(f"HTTP {status} with a body that is no JSON") from None
        said = self._message(found)
        if status < 300 and isinstance(found, dict) and "error" in found and found["error"]:
            code = found["error"].get("code") if isinstance(found["error"], dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 0
            shown = f"an error instead of an answer: {said}"
            if status in _AGAIN:
                raise _BusyError(shown)
            raise RequestError(shown, status)
        if status < 300:
            return found
        shown = f"HTTP {status}" + (f": {said}" if said else "")
        if status in _AGAIN:
            raise _BusyError(shown, _retry_after(reply.headers.get("Retry-After")))
        if status in _DENIED and not POLICY.search(said):
            with self._lock:
                self._denied = shown
            raise RequestError(shown, status, _SET_KEY)
        raise RequestError(shown, status)

    def _message(self, found: Any) -> str:
        """What a server says of an error, without the key."""
        error = found.get("error", found) if isinstance(found, dict) else found
        for key in ("message", "detail", "msg"):
            if isinstance(error, dict) and error.get(key):
                code = error.get("code")
                named = f" ({code})" if isinstance(code, str) else ""
                return self._safe(f"{error[key]}{named}")
        return self._safe(str(error)) if error else ""

    def _safe(self, text: str) -> str:
        """One line, cut, and without the key or a beginning of it that servers like to repeat."""
        if self._key:
            text = text.replace(self._key, "***")
            if len(self._key) > 8:
                text = text.replace(self._key[:8], "***").replace(self._key[-8:], "***")
        return line(text, _SHOWN)


def _retry_after(text: str | None) -> float | None:
    """Seconds to wait, given as a number or a date; None if it says neither."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())
