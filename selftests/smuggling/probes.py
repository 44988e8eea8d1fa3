# SPDX-License-Identifier: Apache-2.0
"""Requests that two readers could take differently, each with what must come of it.

    name, bytes, wanted

`wanted` is a status, or several of which any will do: the request is refused, the connection closed,
and the endpoint has got no complete message. Or Passed(n): n requests are answered with 200, the
endpoint has got n messages it has no complaint about, and the connection lives on. Or Ends(n): the
same, and then the connection is closed.

Bytes are Latin-1 text; {h} is the host. "/hidden" is what no endpoint may ever be asked for.
"""
from ground import HOST, OTHER


class Passed:
    def __init__(self, count=1, body=None):
        self.count, self.body = count, body


class Ends(Passed):
    pass


BAD = (400,)
HIDDEN = "GET /hidden HTTP/1.1\r\nHost: {h}\r\n\r\n"


def lines(start, *fields, body=""):
    return "\r\n".join((start, "Host: {h}", *fields)) + "\r\n\r\n" + body


def get(*fields, body=""):
    return lines("GET /probe HTTP/1.1", *fields, body=body)


def post(*fields, body=""):
    return lines("POST /probe HTTP/1.1", *fields, body=body)


def chunked(body):
    return post("Transfer-Encoding: chunked", body=body)


def content_lengths():
    smuggled = "0\r\n\r\n" + HIDDEN
    for name, value in (
            ("plus", "+5"), ("minus", "-5"), ("minus-zero", "-0"), ("hex", "0x5"), ("list-same", "5, 5"),
            ("list-other", "5,6"), ("inner-space", "1 2"), ("underscore", "1_0"), ("point", "5.0"), ("exponent", "5e0"),
            ("letter", "5a"), ("letter-first", "a5"), ("empty", ""), ("quoted", '"5"'), ("comma", "5,"),
            ("comma-first", ",5"), ("semicolon", "5;a=b"), ("overflow-64", "18446744073709551616"),
            ("overflow-63", "9223372036854775808"), ("wraps-to-5", "18446744073709551621"),
            ("wraps-32-bits-not", "x4294967301"), ("many-digits", "9" * 300), ("vertical-tab", "\x0b5"),
            ("form-feed", "5\x0c"), ("nul", "5\x00"), ("nul-first", "\x005"), ("no-break-space", "\xa05"),
            ("superscript", "\xb2"), ("del", "5\x7f")):
        yield f"length-{name}", post(f"Content-Length: {value}", body="hello" + HIDDEN), BAD
    yield "length-twice-same", post("Content-Length: 5", "Content-Length: 5", body="hello"), BAD
    yield "length-twice-other", post("Content-Length: 5", "Content-Length: 0", body="hello"), BAD
    yield "length-twice-case", post("Content-Length: 5", "CONTENT-LENGTH: 6", body="hello!"), BAD
    yield "length-space-before-colon", post("Content-Length : 5", body="hello"), BAD
    yield "length-tab-before-colon", post("Content-Length\t: 5", body="hello"), BAD
    yield "length-folded", post("Content-Length:", " 5", body="hello"), BAD
    yield "length-nul-in-name", post("Content-Length\x00: 5", body=smuggled), BAD
    yield "length-name-8-bit", post("Content-Length\xa0: 5", body=smuggled), BAD
    yield "length-name-cr", post("\rContent-Length: 5", body=smuggled), BAD
    yield "length-leading-zeros", post("Content-Length: 0005", body="hello"), Passed(body=b"hello")
    yield "length-space-around", post("Content-Length:\t 5 \t", body="hello"), Passed(body=b"hello")
    yield "length-underscore-name", post("Content_Length: 50", body=""), Passed(body=b"")
    yield "length-zero-then-next", post("Content-Length: 0", body=HIDDEN.replace("hidden", "open")), Passed(2)
    yield "length-of-get", get("Content-Length: 5", body="hello"), Passed(body=b"hello")
    yield "length-named-by-connection", post("Content-Length: 5", "Connection: content-length",
                                             body="hello"), Passed(body=b"hello")
    yield "length-named-by-connection-hides-request", post(
        "Content-Length: {n}".replace("{n}", str(len(HIDDEN.format(h=HOST)))), "Connection: close, Content-Length",
        body=HIDDEN), Ends()


def codings():
    smuggled = "0\r\n\r\n" + HIDDEN
    for name, field in (
            ("identity", "Transfer-Encoding: identity"), ("gzip", "Transfer-Encoding: gzip"),
            ("gzip-chunked", "Transfer-Encoding: gzip, chunked"), ("chunked-gzip", "Transfer-Encoding: chunked, gzip"),
            ("chunked-twice", "Transfer-Encoding: chunked, chunked"), ("chunked-comma", "Transfer-Encoding: chunked,"),
            ("comma-chunked", "Transfer-Encoding: ,chunked"), ("identity-chunked", "Transfer-Encoding: identity, chunked"),
            ("xchunked", "Transfer-Encoding: xchunked"), ("chunkedx", "Transfer-Encoding: chunkedx"),
            ("quoted", 'Transfer-Encoding: "chunked"'), ("single-quoted", "Transfer-Encoding: 'chunked'"),
            ("parameter", "Transfer-Encoding: chunked;a=b"), ("empty", "Transfer-Encoding:"),
            ("cut", "Transfer-Encoding: chunke"), ("two-words", "Transfer-Encoding: chunked x"),
            ("vertical-tab", "Transfer-Encoding: \x0bchunked"), ("form-feed", "Transfer-Encoding: chunked\x0c"),
            ("nul", "Transfer-Encoding: chunked\x00"), ("nul-first", "Transfer-Encoding: \x00chunked"),
            ("no-break-space", "Transfer-Encoding: \xa0chunked"), ("del", "Transfer-Encoding: chunked\x7f"),
            ("backspace", "Transfer-Encoding: chunked\x08"), ("8-bit", "Transfer-Encoding: chunk\xe9d"),
            ("long-s", "Tran\xc5\xbffer-Encoding: chunked"), ("kelvin", "Transfer-Encoding: chun\xe2\x84\xaaed"),
            ("space-before-colon", "Transfer-Encoding : chunked"), ("tab-before-colon", "Transfer-Encoding\t: chunked"),
            ("space-in-name", "Transfer Encoding: chunked"), ("folded", "Transfer-Encoding:\r\n chunked"),
            ("folded-tab", "Transfer-Encoding: \r\n\tchunked"), ("folded-before", "X-A: b\r\n Transfer-Encoding: chunked"),
            ("bare-cr-before", "X-A: b\rTransfer-Encoding: chunked"), ("bare-lf-before", "X-A: b\nTransfer-Encoding: chunked"),
            ("bare-lf-end", "Transfer-Encoding: chunked\nX-A: b"), ("cr-cr-lf", "Transfer-Encoding: chunked\r\r\nX-A: b"),
            ("nul-name", "\x00Transfer-Encoding: chunked"), ("name-nul", "Transfer-Encoding\x00: chunked"),
            ("colon-first", ":Transfer-Encoding: chunked"), ("no-colon", "Transfer-Encoding chunked"),
            ("slash-name", "Transfer-Encoding/: chunked")):
        yield f"coding-{name}", post(field, body=smuggled), BAD
    for name, first, second in (
            ("same", "chunked", "chunked"), ("identity-first", "identity", "chunked"),
            ("identity-last", "chunked", "identity"), ("cow", "cow", "chunked"), ("case", "chunked", "CHUNKED")):
        yield f"coding-twice-{name}", post(f"Transfer-Encoding: {first}", f"transfer-encoding: {second}",
                                           body=smuggled), BAD
    yield "coding-then-length", post("Transfer-Encoding: chunked", "Content-Length: 5", body=smuggled), BAD
    yield "length-then-coding", post("Content-Length: 5", "Transfer-Encoding: chunked", body=smuggled), BAD
    yield "length-0-then-coding", post("Content-Length: 0", "Transfer-Encoding: chunked", body=smuggled), BAD
    yield "length-and-coding-case", post("content-LENGTH: 5", "TRANSFER-encoding: CHUNKED", body=smuggled), BAD
    yield "length-and-identity", post("Content-Length: 5", "Transfer-Encoding: identity", body="hello"), BAD
    yield "length-and-coding-of-get", get("Content-Length: 5", "Transfer-Encoding: chunked", body=smuggled), BAD
    yield "length-named-and-coding", post("Content-Length: 5", "Transfer-Encoding: chunked",
                                          "Connection: content-length", body=smuggled), BAD
    yield "coding-named-and-length", post("Content-Length: 5", "Transfer-Encoding: chunked",
                                          "Connection: transfer-encoding", body=smuggled), BAD
    yield "coding-in-1.0", lines("POST /probe HTTP/1.0", "Transfer-Encoding: chunked", body=smuggled), BAD
    yield "coding-in-1.0-kept", lines("POST /probe HTTP/1.0", "Transfer-Encoding: chunked",
                                      "Connection: keep-alive", body=smuggled), BAD
    yield "coding-upper-case", post("TRANSFER-ENCODING: CHUNKED", body="5\r\nhello\r\n0\r\n\r\n"), Passed(body=b"hello")
    yield "coding-space-around", post("Transfer-Encoding:\t chunked \t", body="5\r\nhello\r\n0\r\n\r\n"), Passed(
        body=b"hello")
    yield "coding-underscore-name", post("Transfer_Encoding: chunked", "Content-Length: 5", body="hello"), Passed(
        body=b"hello")
    yield "coding-named-by-connection", post("Transfer-Encoding: chunked", "Connection: Transfer-Encoding",
                                             body="5\r\nhello\r\n0\r\n\r\n"), Passed(body=b"hello")
    yield "coding-of-get", get("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n"), Passed(body=b"hello")
    yield "coding-of-head-like", lines("DELETE /probe HTTP/1.1", "Transfer-Encoding: chunked",
                                       body="0\r\n\r\n"), Passed(body=b"")


def chunks():
    for name, size in (
            ("plus", "+5"), ("minus", "-5"), ("0x", "0x5"), ("0X", "0X5"), ("underscore", "0_5"), ("letter", "5g"),
            ("space-before", " 5"), ("space-behind", "5 "), ("tab-before", "\t5"), ("tab-behind", "5\t"), ("empty", ""),
            ("comma", "5,5"), ("point", "5.0"), ("quoted", '"5"'), ("nul", "5\x00"), ("8-bit", "\xb5"),
            ("vertical-tab", "5\x0b"), ("h", "5h"), ("overflow-64", "10000000000000005"),
            ("overflow-32-wraps-not", "100000000000000000000005"), ("all-f", "ffffffffffffffff"),
            ("63-bits", "8000000000000000"), ("many-zeros", "0" * 300 + "5"), ("semicolon-first", ";5"),
            ("cr-inside", "5\r5"), ("space-semicolon", "5 ;a"), ("minus-zero", "-0")):
        yield f"chunk-size-{name}", chunked(f"{size}\r\nhello\r\n0\r\n\r\n" + HIDDEN), BAD
    for name, body in (
            ("bare-lf-line", "5\nhello\r\n0\r\n\r\n"), ("bare-cr-line", "5\rhello\r\n0\r\n\r\n"),
            ("too-short", "4\r\nhello\r\n0\r\n\r\n"), ("too-long", "6\r\nhello\r\n0\r\n\r\n"),
            ("no-end", "5\r\nhello0\r\n\r\n"), ("lf-end", "5\r\nhello\n0\r\n\r\n"), ("cr-end", "5\r\nhello\r0\r\n\r\n"),
            ("double-end", "5\r\nhello\r\n\r\n0\r\n\r\n"), ("last-bare-lf", "0\n\r\n"), ("last-lf-lf", "0\n\n"),
            ("end-bare-lf", "0\r\n\n"), ("end-bare-cr", "0\r\n\rX"), ("extension-lf", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
            ("extension-cr", "5;a\rb\r\nhello\r\n0\r\n\r\n"), ("extension-nul", "5;\x00\r\nhello\r\n0\r\n\r\n"),
            ("extension-lf-smuggles", "5;\n" + "0\r\n\r\nhello\r\n0\r\n\r\n"),
            ("extension-control", "5;\x08\r\nhello\r\n0\r\n\r\n"), ("extension-long", f"5;{'a' * 20000}\r\nhello\r\n0\r\n\r\n"),
            ("extension-long-sum", "1;aaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n" * 3000 + "0\r\n\r\n"),
            ("trailer-no-colon", "0\r\nX-A\r\n\r\n"), ("trailer-folded", "0\r\nX-A: b\r\n c\r\n\r\n"),
            ("trailer-space", "0\r\nX-A : b\r\n\r\n"), ("trailer-nul", "0\r\nX-A: \x00\r\n\r\n"),
            ("trailer-lf", "0\r\nX-A: b\nX-C: d\r\n\r\n"), ("trailer-cr", "0\r\nX-A: b\rX-C: d\r\n\r\n"),
            ("trailer-no-name", "0\r\n: b\r\n\r\n"), ("trailer-8-bit-name", "0\r\nX\xe9: b\r\n\r\n"),
            ("trailer-long", f"0\r\nX-A: {'b' * 70000}\r\n\r\n"),
            ("trailers-many", "0\r\n" + "X-A: bbbbbbbbbbbbbbbbb\r\n" * 4000 + "\r\n")):
        yield f"chunk-{name}", chunked(body + HIDDEN), BAD
    good = "5\r\nhello\r\n0\r\n\r\n"
    yield "chunk-extensions", chunked('5;a=b\r\nhello\r\n0;c="d;e"\r\n\r\n'), Passed(body=b"hello")
    yield "chunk-extension-of-8-bit", chunked("5;\xe9\r\nhello\r\n0\r\n\r\n"), Passed(body=b"hello")
    yield "chunk-leading-zeros", chunked("0005\r\nhello\r\n000\r\n\r\n"), Passed(body=b"hello")
    yield "chunk-upper-hex", chunked("A\r\nhellohello\r\n0\r\n\r\n"), Passed(body=b"hellohello")
    yield "chunk-holds-request", chunked(f"{len(HIDDEN.format(h=HOST)):x}\r\n" + HIDDEN + "\r\n0\r\n\r\n"), Passed(
        body=HIDDEN.format(h=HOST).encode())
    yield "chunk-of-one-byte-each", chunked("1\r\na\r\n" * 2000 + "0\r\n\r\n"), Passed(body=b"a" * 2000)
    for name in ("Content-Length: 50", "Transfer-Encoding: chunked", "Host: forged.test", "Connection: close",
                 "X-Forwarded-For: 1.2.3.4", "Authorization: forged", "X-A: b"):
        yield f"trailer-{name.split(':')[0].lower()}", chunked(f"5\r\nhello\r\n0\r\n{name}\r\n\r\n"), Passed(body=b"hello")
    yield "trailer-announced", post("Transfer-Encoding: chunked", "Trailer: X-A", "TE: trailers",
                                    body="0\r\nX-A: b\r\n\r\n"), Passed(body=b"")
    yield "chunked-then-next", chunked(good) + get().replace("probe", "open"), Passed(2)


def line_ends():
    for name, text in (
            ("lf-everywhere", "GET /probe HTTP/1.1\nHost: {h}\n\n"), ("lf-first-line", "GET /probe HTTP/1.1\nHost: {h}\r\n\r\n"),
            ("lf-field", "GET /probe HTTP/1.1\r\nHost: {h}\n\r\n"), ("lf-last", "GET /probe HTTP/1.1\r\nHost: {h}\r\n\n"),
            ("cr-everywhere", "GET /probe HTTP/1.1\rHost: {h}\r\r"), ("cr-cr-lf", "GET /probe HTTP/1.1\r\r\nHost: {h}\r\n\r\n"),
            ("lf-cr", "GET /probe HTTP/1.1\n\rHost: {h}\n\r\n\r"), ("cr-in-value", get("X-A: b\rc")),
            ("cr-before-end", get("X-A: b\r")), ("lf-in-value", get("X-A: b\nX-B: c")), ("nul-in-value", get("X-A: b\x00c")),
            ("nul-line", get("\x00")), ("folded", get("X-A: b", " c")), ("folded-tab", get("X-A: b", "\tc")),
            ("first-field-folded", "GET /probe HTTP/1.1\r\n X-A: b\r\nHost: {h}\r\n\r\n"),
            ("blank-line-of-space", get("X-A: b", " ")), ("empty-lines", "\r\n\r\n\r\n" + get()),
            ("lf-before", "\n" + get()), ("cr-before", "\r" + get()), ("space-before", " " + get()),
            ("nul-before", "\x00" + get()), ("bom-before", "\xef\xbb\xbf" + get()), ("no-colon", get("X-A")),
            ("no-name", get(": b")), ("space-name", get("X A: b")), ("bell-in-value", get("X-A: \x07")),
            ("escape-in-value", get("X-A: \x1b[0m")), ("del-in-value", get("X-A: \x7f")), ("paren-name", get("X(A: b")),
            ("brace-name", get("X{{A: b")), ("at-name", get("X@A: b")), ("quote-name", get('"X-A": b')),
            ("8-bit-name", get("X-\xe9: b")), ("nul-name", get("X\x00A: b")), ("comma-name", get("X,A: b")),
            ("slash-name", get("X/A: b")), ("backslash-name", get("X\\A: b")), ("equals-name", get("X=A: b"))):
        yield f"line-{name}", text, BAD
    yield "line-empty-line-before", "\r\n" + get(), Passed()
    yield "line-8-bit-value", get("X-A: \xe9\xff"), Passed()
    yield "line-odd-token-name", get("X!#$%&'*+-.^`|~A: b"), Passed()
    yield "line-empty-value", get("X-A:"), Passed()
    yield "line-colon-value", get("X-A: :b:"), Passed()


def request_lines():
    for name, start, wanted in (
            ("0.9", "GET /probe", BAD), ("0.9-space", "GET /probe ", BAD), ("http-0.9", "GET /probe HTTP/0.9", (400, 505)),
            ("2.0", "GET /probe HTTP/2.0", (505,)), ("3.0", "GET /probe HTTP/3.0", (505,)), ("2", "GET /probe HTTP/2", BAD),
            ("1", "GET /probe HTTP/1", BAD), ("1.", "GET /probe HTTP/1.", BAD), ("1.10", "GET /probe HTTP/1.10", BAD),
            ("01.1", "GET /probe HTTP/01.1", BAD), ("1.1x", "GET /probe HTTP/1.1x", BAD), ("1,1", "GET /probe HTTP/1,1", BAD),
            ("lower", "GET /probe http/1.1", BAD), ("mixed", "GET /probe Http/1.1", BAD), ("https", "GET /probe HTTPS/1.1", BAD),
            ("minus", "GET /probe HTTP/-1.1", BAD), ("plus", "GET /probe HTTP/+1.1", BAD), ("space", "GET /probe HTTP/1.1 ", BAD),
            ("space-inside", "GET /probe HTTP/ 1.1", BAD), ("two-spaces", "GET  /probe HTTP/1.1", BAD),
            ("two-spaces-2", "GET /probe  HTTP/1.1", BAD), ("tab", "GET\t/probe HTTP/1.1", BAD),
            ("tab-2", "GET /probe\tHTTP/1.1", BAD), ("form-feed", "GET\x0c/probe HTTP/1.1", BAD),
            ("no-method", "/probe HTTP/1.1", BAD), ("space-first", " GET /probe HTTP/1.1", BAD),
            ("two-targets", "GET /probe /hidden HTTP/1.1", BAD), ("two-versions", "GET /probe HTTP/1.1 HTTP/1.1", BAD),
            ("colon-method", "GET: /probe HTTP/1.1", BAD), ("8-bit-method", "G\xc9T /probe HTTP/1.1", BAD),
            ("nul-method", "GET\x00 /probe HTTP/1.1", BAD), ("at-method", "G@T /probe HTTP/1.1", BAD),
            ("quote-method", '"GET" /probe HTTP/1.1', BAD), ("connect", "CONNECT {h}:443 HTTP/1.1", (400, 405, 501)),
            ("connect-path", "CONNECT /probe HTTP/1.1", (400, 405, 501)), ("relative", "GET probe HTTP/1.1", BAD),
            ("asterisk-get", "GET * HTTP/1.1", BAD), ("asterisk-query", "OPTIONS *?a HTTP/1.1", BAD),
            ("authority-get", "GET {h} HTTP/1.1", BAD), ("authority-port-get", "GET {h}:80 HTTP/1.1", BAD),
            ("ftp", "GET ftp://{h}/probe HTTP/1.1", BAD), ("file", "GET file:///probe HTTP/1.1", BAD),
            ("javascript", "GET javascript:alert(1) HTTP/1.1", BAD), ("one-slash", "GET http:/probe HTTP/1.1", BAD),
            ("no-authority", "GET http:///probe HTTP/1.1", BAD), ("userinfo", "GET http://a:b@{h}/probe HTTP/1.1", BAD),
            ("userinfo-2", "GET http://{h}@evil.test/probe HTTP/1.1", BAD), ("port-junk", "GET http://{h}:80x/probe HTTP/1.1", BAD),
            ("port-large", "GET http://{h}:65536/probe HTTP/1.1", BAD), ("backslash", "GET http:\\\\{h}\\probe HTTP/1.1", BAD),
            ("backslash-host", "GET http://{h}\\@evil.test/ HTTP/1.1", BAD), ("fragment", "GET /probe#a HTTP/1.1", BAD),
            ("fragment-absolute", "GET http://{h}/probe#a HTTP/1.1", BAD), ("nul-target", "GET /pro\x00be HTTP/1.1", BAD),
            ("8-bit-target", "GET /pr\xe9 HTTP/1.1", BAD), ("del-target", "GET /pr\x7f HTTP/1.1", BAD),
            ("control-target", "GET /pr\x01 HTTP/1.1", BAD), ("cr-target", "GET /pr\rHost: a HTTP/1.1", BAD),
            ("lf-target", "GET /pr\nHost: a HTTP/1.1", BAD), ("nul-query", "GET /probe?\x00 HTTP/1.1", BAD),
            ("8-bit-query", "GET /probe?\xff HTTP/1.1", BAD), ("long-target", f"GET /{'a' * 33000} HTTP/1.1", (400, 414, 431)),
            ("long-method", f"{'A' * 40000} /probe HTTP/1.1", (400, 414, 431, 501))):
        yield f"start-{name}", lines(start), wanted
    yield "start-preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", (400, 505)
    yield "start-1.2", lines("GET /probe HTTP/1.2"), Passed()
    yield "start-1.9", lines("GET /probe HTTP/1.9"), Passed()
    yield "start-lower-method", lines("get /probe HTTP/1.1"), Passed()
    yield "start-odd-method", lines("BREW-IT! /probe HTTP/1.1"), Passed()
    yield "start-asterisk", lines("OPTIONS * HTTP/1.1"), Passed()
    yield "start-absolute", lines("GET http://{h}/probe HTTP/1.1"), Passed()
    yield "start-absolute-case", lines("GET HTTP://{h}/probe HTTP/1.1"), Passed()
    yield "start-absolute-no-path", lines("GET http://{h} HTTP/1.1"), Passed()
    yield "start-absolute-query-only", lines("GET http://{h}?a=http://b/ HTTP/1.1"), Passed()
    yield "start-absolute-options", lines("OPTIONS http://{h} HTTP/1.1"), Passed()
    yield "start-absolute-other-host", f"GET http://{HOST}/probe HTTP/1.1\r\nHost: {OTHER}\r\n\r\n", Passed()
    yield "start-absolute-no-host", f"GET http://{HOST}/probe HTTP/1.1\r\n\r\n", BAD
    yield "start-absolute-bad-host", f"GET http://{HOST}/probe HTTP/1.1\r\nHost: a b\r\n\r\n", BAD
    yield "start-1.0", lines("GET /probe HTTP/1.0"), Ends()
    yield "start-1.0-body", lines("POST /probe HTTP/1.0", "Content-Length: 5", body="hello"), Ends(body=b"hello")
    yield "start-1.0-kept", lines("GET /probe HTTP/1.0", "Connection: keep-alive"), Passed()
    yield "start-1.0-absolute-no-host", f"GET http://{HOST}/probe HTTP/1.0\r\n\r\n", Ends()


def hosts():
    for name, value in (
            ("userinfo", "a@{h}"), ("userinfo-behind", "{h}@evil.test"), ("port-junk", "{h}:80x"), ("port-minus", "{h}:-80"),
            ("port-plus", "{h}:+80"), ("port-space", "{h}: 80"), ("port-large", "{h}:65536"), ("port-huge", "{h}:4294967376"),
            ("port-0", "{h}:0"), ("two-ports", "{h}:80:80"), ("only-port", ":80"), ("comma", "{h},evil.test"),
            ("comma-space", "{h}, evil.test"), ("space", "{h} evil.test"), ("tab", "{h}\tevil.test"), ("slash", "{h}/evil"),
            ("backslash", "{h}\\evil"), ("query", "{h}?evil"), ("fragment", "{h}#evil"), ("percent", "%6audged.test"),
            ("nul", "{h}\x00.evil.test"), ("8-bit", "judg\xe9d.test"), ("quoted", '"{h}"'), ("brackets", "[{h}]"),
            ("open-bracket", "[::1"), ("bracket-junk", "[::1]x"), ("bracket-empty", "[]"), ("bracket-v4", "[127.0.0.1]"),
            ("zone", "[fe80::1%25eth0]"), ("ipv6-bare", "::1"), ("dot-first", ".{h}"), ("two-dots", "judged..test"),
            ("only-dot", "."), ("wildcard", "*.test"), ("url", "http://{h}"), ("semicolon", "{h};a"), ("equals", "a={h}"),
            ("angle", "<{h}>"), ("pipe", "{h}|a"), ("long", "a" * 300 + ".test"), ("label-64", "a" * 64 + ".test"),
            ("del", "{h}\x7f"), ("plus", "a+b.test")):
        yield f"host-{name}", f"GET /probe HTTP/1.1\r\nHost: {value}\r\n\r\n", BAD
    for name, text in (
            ("none", "GET /probe HTTP/1.1\r\nX-A: b\r\n\r\n"), ("twice", "GET /probe HTTP/1.1\r\nHost: {h}\r\nHost: evil.test\r\n\r\n"),
            ("twice-same", "GET /probe HTTP/1.1\r\nHost: {h}\r\nHost: {h}\r\n\r\n"),
            ("twice-case", "GET /probe HTTP/1.1\r\nHost: {h}\r\nHOST: evil.test\r\n\r\n"),
            ("twice-empty", "GET /probe HTTP/1.1\r\nHost:\r\nHost: {h}\r\n\r\n"),
            ("twice-1.0", "GET /probe HTTP/1.0\r\nHost: {h}\r\nHost: evil.test\r\n\r\n"),
            ("space-colon", "GET /probe HTTP/1.1\r\nHost : {h}\r\n\r\n"), ("folded", "GET /probe HTTP/1.1\r\nHost:\r\n {h}\r\n\r\n"),
            ("space-first", "GET /probe HTTP/1.1\r\n Host: {h}\r\n\r\n"),
            ("folded-second", "GET /probe HTTP/1.1\r\nHost: {h}\r\n Host: evil.test\r\n\r\n"),
            ("twice-far-apart", "GET /probe HTTP/1.1\r\nHost: {h}\r\n" + "X-A: b\r\n" * 60 + "Host: evil.test\r\n\r\n")):
        yield f"host-{name}", text, BAD
    for name, value in (("upper", "JUDGED.TEST"), ("dot-behind", "{h}."), ("port", "{h}:80"), ("port-other", "{h}:8443"),
                        ("empty-port", "{h}:"), ("space-around", "\t {h} \t")):
        yield f"host-{name}", f"GET /probe HTTP/1.1\r\nHost: {value}\r\n\r\n", Passed()
    yield "host-underscore-name", get("Host_: evil.test", "X_Host: evil.test"), Passed()
    yield "host-named-by-connection", get("Connection: Host"), Passed()
    yield "host-x-forwarded-host", get("X-Forwarded-Host: forged.test", "X-Host: a"), Passed()


def trust():
    forged = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-IP", "Forwarded",
              "X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Scheme", "Proxy")
    for name in forged:
        yield f"trust-{name.lower()}", get(f"{name}: forged"), Passed()
    yield "trust-twice", get("X-Forwarded-For: forged", "X-Forwarded-For: forged"), Passed()
    yield "trust-case", get("x-fOrWaRdEd-FoR: forged", "X-REAL-ip: forged"), Passed()
    yield "trust-underscore", get(*(f"{name.replace('-', '_')}: forged" for name in forged if "-" in name)), Passed()
    yield "trust-mixed-underscore", get("X-Forwarded_For: forged", "X_Forwarded-For: forged", "X_Real-IP: forged"), Passed()
    for name in ("X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "X-Request-ID", "Host", "Connection", "close, Host"):
        yield f"trust-connection-{name.lower().replace(', ', '-')}", get(f"Connection: {name}"), (
            Ends() if "close" in name else Passed())
    yield "trust-request-id-junk", get("X-Request-ID: forged forged<script>"), Passed()
    yield "trust-request-id-long", get("X-Request-ID: " + "a" * 5000), Passed()
    yield "trust-request-id-twice", get("X-Request-ID: a", "X-Request-ID: b"), Passed()


def hops():
    for name, fields in (
            ("te", ("TE: trailers, gzip",)), ("te-named", ("TE: trailers", "Connection: TE")), ("keep-alive", ("Keep-Alive: 5",)),
            ("proxy-connection", ("Proxy-Connection: keep-alive",)), ("trailer", ("Trailer: X-A",)),
            ("proxy-authorization", ("Proxy-Authorization: Basic YTpi",)), ("upgrade-unnamed", ("Upgrade: websocket",)),
            ("upgrade-h2c", ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")),
            ("upgrade-h2c-unnamed", ("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AA")),
            ("upgrade-h2c-case", ("Connection: UPGRADE", "Upgrade: H2C")),
            ("upgrade-list-h2c", ("Connection: Upgrade", "Upgrade: websocket, h2c")),
            ("upgrade-twice-h2c", ("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c")),
            ("upgrade-http-2", ("Connection: Upgrade", "Upgrade: HTTP/2.0")), ("upgrade-tls", ("Connection: Upgrade", "Upgrade: TLS/1.3")),
            ("upgrade-two-words", ("Connection: Upgrade", "Upgrade: websocket h2c")),
            ("upgrade-tab", ("Connection: Upgrade", "Upgrade: a\th2c")), ("upgrade-quoted", ("Connection: Upgrade", 'Upgrade: "h2c"')),
            ("upgrade-semicolon", ("Connection: Upgrade", "Upgrade: a;h2c")), ("upgrade-slash", ("Connection: Upgrade", "Upgrade: /h2c")),
            ("upgrade-http-bare", ("Connection: Upgrade", "Upgrade: HTTP")), ("upgrade-tls-bare", ("Connection: Upgrade", "Upgrade: TLS")),
            ("upgrade-empty", ("Connection: Upgrade", "Upgrade:")),
            ("upgrade-ignored", ("Connection: Upgrade", "Upgrade: websocket")),
            ("secret-named", ("Connection: X-Secret", "X-Secret: a")), ("empty-options", ("Connection: ,, ,",)),
            ("keep-alive-named", ("Connection: Keep-Alive", "Keep-Alive: timeout=5")),
            ("expect-other", ("Expect: nonsense",)), ("max-forwards", ("Max-Forwards: 0",))):
        yield f"hop-{name}", get(*fields), Passed()
    for name, fields in (
            ("plain", ("Expect: 100-continue",)), ("case", ("EXPECT: 100-CONTINUE",)), ("twice", ("Expect: 100-continue",) * 2),
            ("list", ("Expect: 100-continue, 100-continue",)), ("other", ("Expect: 200-ok",)), ("empty", ("Expect:",)),
            ("junk-around", ("Expect: x 100-continue",)), ("named", ("Expect: 100-continue", "Connection: Expect"))):
        yield f"expect-{name}", post(*fields, "Content-Length: 5", body="hello"), Passed(body=b"hello")
        yield f"expect-{name}-chunked", post(*fields, "Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n"), Passed(
            body=b"hello")
        yield f"expect-{name}-no-body", get(*fields), Passed(body=b"")
    yield "expect-1.0", lines("POST /probe HTTP/1.0", "Expect: 100-continue", "Content-Length: 5", body="hello"), Ends(body=b"hello")
    yield "expect-folded", post("Expect:", " 100-continue", "Content-Length: 5", body="hello"), BAD
    yield "expect-both-framings", post("Expect: 100-continue", "Content-Length: 5", "Transfer-Encoding: chunked",
                                       body="0\r\n\r\n" + HIDDEN), BAD
    yield "hop-connection-space", get("Connection: a b"), BAD
    yield "hop-connection-quoted", get('Connection: "close"'), BAD
    yield "hop-connection-many", get("Connection: " + ",".join(f"x{n}" for n in range(200))), BAD
    yield "hop-close", get("Connection: close"), Ends()
    yield "hop-close-case", get("Connection: CLOSE"), Ends()
    yield "hop-close-second", get("Connection: keep-alive", "Connection: close"), Ends()
    yield "hop-close-leaves-the-rest", get("Connection: close") + HIDDEN, Ends()
    websocket = ("Connection: Upgrade", "Upgrade: websocket")
    yield "hop-upgrade-with-length", post(*websocket, "Content-Length: 5", body="hello"), Passed(body=b"hello")
    yield "hop-upgrade-with-chunks", post(*websocket, "Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n"), Passed(
        body=b"hello")
    yield "hop-upgrade-then-next", get(*websocket) + get().replace("probe", "open"), Passed(2)
    yield "hop-upgrade-length-and-coding", post(*websocket, "Content-Length: 5", "Transfer-Encoding: chunked",
                                                body="0\r\n\r\n" + HIDDEN), BAD


def sizes():
    yield "size-128-fields", get(*(f"X-{n}: a" for n in range(127))), Passed()
    yield "size-129-fields", get(*(f"X-{n}: a" for n in range(128))), (431,)
    yield "size-5000-fields", get(*("A: b" for n in range(5000))), (431,)
    yield "size-33-kib", get("X-A: " + "b" * 33 * 1024), (431,)
    yield "size-33-kib-name", get("X" * 33 * 1024 + ": b"), (431,)
    yield "size-300-kib", get("X-A: " + "b" * 300 * 1024), (431,)
    yield "size-31-kib", get("X-A: " + "b" * 31 * 1024), Passed()
    yield "size-31-kib-target", lines(f"GET /{'a' * 31 * 1024} HTTP/1.1"), Passed()
    yield "size-name-of-20-kib", get("X" * 20000 + ": b"), Passed()
    yield "size-many-lines-then-bad", get(*(f"X-{n}: a" for n in range(100)), "bad line"), BAD
    yield "size-pipeline-100", get().replace("probe", "open") * 100, Passed(100)
    yield "size-pipeline-then-bad", get().replace("probe", "open") * 3 + get("bad line") + HIDDEN, Ends(3)


def tables():
    for table in (content_lengths, codings, chunks, line_ends, request_lines, hosts, trust, hops, sizes):
        yield from table()


PROBES = [(name, text.replace("{h}", HOST).replace("{{", "{").encode("latin-1"), wanted)
          for name, text, wanted in tables()]
