"""What to use instead of what a tool cannot have: sentences for whoever wrote the code."""

import sys

from sandbox.words import words

INTERNALS = "it leads into the interpreter; write it without"

_ASK = "ask with `mcpbox_request_module`"
_NO_FILES = "tools have no file system: take data as arguments and return it from main()"
_NO_PROCESSES = "tools cannot start processes or threads: use asyncio for concurrency"
_NO_NATIVE = "tools cannot call native code"
_NO_SOCKETS = "tools have no network but the `http` client: `await http.get(url)`"
_NO_MACHINE = "tools see nothing of the machine they run on: take it as an argument"
_NO_SCREEN = "tools have no screen and no keyboard: take arguments, return the result from main()"
_NO_CODE = "tools cannot make or inspect code while they run: write the code out"
_USE_HTTP = "use the `http` client (httpx API): `await http.get(url)`"
_JSON_ONLY = "use `json`"
_NO_DATABASE = "tools have no database connection: use the service's HTTP API with `http`"
_CALL_API = "call the service's HTTP API: `await http.post(url, json=..., headers=...)`"
_RETURN = "return from main(), or raise an exception"
_AS_ARGUMENTS = "pass values as arguments"
_ZIP = "use `zlib` or `gzip` on bytes"

_FOR_STANDARD = {
    "os": "for paths use `pathlib.PurePath`; take settings as arguments of main(), and values "
    'that must stay secret from `secrets["NAME"]`',
    "os.path": "for paths use `pathlib.PurePath`",
    "sys": "use print() for output, and the arguments of main() for input",
    "asyncio.to_thread": _NO_PROCESSES,
    "builtins": "the built-in functions are there without an import",
    "bz2": _ZIP,
    "codecs": "use `str.encode()`, `bytes.decode()` and `base64`",
    "concurrent": _NO_PROCESSES,
    "contextvars": _AS_ARGUMENTS,
    "ctypes": _NO_NATIVE,
    "errno": "catch the exception's class, such as `TimeoutError`",
    "getopt": "main() gets its arguments by name",
    "argparse": "main() gets its arguments by name",
    "getpass": 'use `secrets["NAME"]`',
    "gettext": "write the texts out",
    "imaplib": _NO_SOCKETS,
    "importlib": "write a plain import of an allowed module",
    "importlib.metadata": _NO_MACHINE,
    "imp": "write a plain import of an allowed module",
    "inspect": "the interpreter's insides are closed; for types use `isinstance()`",
    "io.open": _NO_FILES,
    "lzma": _ZIP,
    "marshal": _JSON_ONLY,
    "mmap": _NO_FILES,
    "ntpath": "use `pathlib.PureWindowsPath`",
    "operator.attrgetter": "use `lambda item: item.name`",
    "operator.methodcaller": "use `lambda item: item.method()`",
    "optparse": "main() gets its arguments by name",
    "pathlib": "for paths use `pathlib.PurePath`; " + _NO_FILES,
    "pickle": _JSON_ONLY,
    "copyreg": "use `copy`",
    "posixpath": "use `pathlib.PurePosixPath`",
    "sched": "use `asyncio.sleep()`",
    "shelve": "tools keep nothing between calls: take data as arguments and return it",
    "shlex": "use `str.split()` or `re`",
    "signal": "use `asyncio.timeout()` to limit time",
    "socket": _NO_SOCKETS + "; for addresses use `ipaddress`",
    "string.Formatter": "use an f-string or `str.format()`",
    "symtable": "use `ast`",
    "timeit": "use `time.perf_counter()`",
    "typing.get_type_hints": "write the types out",
    "urllib.request": _USE_HTTP + "; `urllib.parse` is available",
    "zipfile": _ZIP,
    **dict.fromkeys(
        words("dbm fileinput glob linecache netrc plistlib shutil tarfile tempfile"), _NO_FILES
    ),
    **dict.fromkeys(
        words("""
            asyncio.create_subprocess_exec asyncio.create_subprocess_shell asyncio.subprocess
            asyncio.threads
            _thread commands multiprocessing pty popen2 subprocess threading
        """),
        _NO_PROCESSES,
    ),
    **dict.fromkeys(
        words("""
            asyncio.open_connection asyncio.open_unix_connection asyncio.start_server
            asyncio.start_unix_server asynchat asyncore ftplib nntplib poplib select selectors
            smtpd smtplib socketserver ssl telnetlib xmlrpc http.server wsgiref
        """),
        _NO_SOCKETS,
    ),
    **dict.fromkeys(words("http.client webbrowser"), _USE_HTTP),
    **dict.fromkeys(
        words("grp platform posix nt pwd resource site sysconfig syslog winreg fcntl"), _NO_MACHINE
    ),
    **dict.fromkeys(
        words("cmd code codeop curses readline rlcompleter termios tkinter tty turtle"), _NO_SCREEN
    ),
    **dict.fromkeys(
        words("""
            dis gc opcode pkgutil py_compile pyclbr runpy tracemalloc zipapp zipimport
            bdb cProfile faulthandler pdb profile pstats trace
        """),
        _NO_CODE,
    ),
    **dict.fromkeys(
        words("doctest unittest"), "tools are tried with `mcpbox_test_code`; leave tests out"
    ),
    "sqlite3": "tools keep nothing between calls: use dicts and lists, or " + _USE_HTTP[4:],
}
"""By full name: modules of the standard library and parts of them; none of it can be granted."""

_FOR_PACKAGES = {
    **dict.fromkeys(
        words("""
            aiohttp curl_cffi grequests httplib2 niquests pycurl requests requests_async
            requests_html treq urllib3
        """),
        _USE_HTTP,
    ),
    **dict.fromkeys(
        words("""
            anthropic azure boto3 botocore cohere discord github gitlab google googleapiclient
            googlemaps groq hubspot huggingface_hub jira kubernetes langchain litellm mistralai
            notion_client openai praw pyairtable sendgrid slack slack_sdk stripe telegram tweepy
            twilio
        """),
        _CALL_API,
    ),
    **dict.fromkeys(
        words("""
            MySQLdb aiomysql aioredis asyncpg cassandra clickhouse_driver elasticsearch motor mysql
            neo4j oracledb peewee psycopg psycopg2 pymongo pymysql pyodbc redis sqlalchemy sqlmodel
            tortoise
        """),
        _NO_DATABASE,
    ),
    **dict.fromkeys(words("fabric paramiko pexpect psutil sh"), _NO_PROCESSES),
    **dict.fromkeys(words("playwright pyppeteer selenium"), "tools have no browser: " + _USE_HTTP),
    **dict.fromkeys(words("paho pika websocket websockets zmq"), _NO_SOCKETS),
    **dict.fromkeys(words("cloudpickle dill joblib orjson rapidjson simplejson ujson"), _JSON_ONLY),
    **dict.fromkeys(words("attr attrs cattrs marshmallow"), "use `pydantic` or `dataclasses`"),
    **dict.fromkeys(
        words("decouple dotenv environ"), 'use `secrets["NAME"]` and arguments of main()'
    ),
    **dict.fromkeys(
        words("arrow babel dateparser pendulum pytz tzlocal"), "use `datetime` and `zoneinfo`"
    ),
    **dict.fromkeys(
        words("click docopt fire typer"), "main() gets its arguments by name: leave it out"
    ),
    **dict.fromkeys(words("loguru rich structlog tqdm"), "use print() or `logging`"),
    **dict.fromkeys(words("backoff tenacity"), "use a loop with `asyncio.sleep()`"),
    **dict.fromkeys(
        words("fastapi flask django starlette"), "a tool serves nothing: write `async def main`"
    ),
    **dict.fromkeys(words("anyio trio gevent"), "use `asyncio`"),
    "nest_asyncio": "`async def main` already runs in a loop: use `await`",
    "bs4": "for simple pages use `html.parser`",
    "dateutil": "for ISO dates use `datetime.fromisoformat()`, for zones `zoneinfo`",
    "defusedxml": "use `xml.etree.ElementTree`",
    "feedparser": "for RSS and Atom use `xml.etree.ElementTree`",
    "jsonschema": "use `pydantic`",
    "lxml": "for XML use `xml.etree.ElementTree`, for HTML `html.parser`",
    "numpy": "for plain figures use `math` and `statistics`",
    "pandas": "for tables use `csv` and dicts; for figures `statistics`",
    "polars": "for tables use `csv` and dicts; for figures `statistics`",
    "regex": "use `re`",
    "scipy": "for plain figures use `math` and `statistics`",
    "toml": "use `tomllib`",
    "tomli": "use `tomllib`",
    "xmltodict": "use `xml.etree.ElementTree`",
    "yaml": "where the data may be JSON or TOML use `json` or `tomllib`",
}
"""By import name: what may do instead of the package."""

_PACKAGES = {
    "Crypto": "pycryptodome",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cassandra": "cassandra-driver",
    "clickhouse_driver": "clickhouse-driver",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "decouple": "python-decouple",
    "discord": "discord.py",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "environ": "django-environ",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "github": "PyGithub",
    "gitlab": "python-gitlab",
    "googleapiclient": "google-api-python-client",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "magic": "python-magic",
    "markdown": "Markdown",
    "mysql": "mysql-connector-python",
    "nacl": "PyNaCl",
    "paho": "paho-mqtt",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "rapidjson": "python-rapidjson",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slack": "slack-sdk",
    "slack_sdk": "slack-sdk",
    "slugify": "python-slugify",
    "telegram": "python-telegram-bot",
    "websocket": "websocket-client",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""The name on PyPI, where it is not the import's."""

_FORMER_STANDARD = frozenset(
    words("""
    aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap
    msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib
""")
)
"""Gone from newer versions of Python, so that no version offers to ask for them."""

_FOR_BUILTINS = {
    "open": _NO_FILES,
    "eval": "use `json.loads()` or `ast.literal_eval()` to read data",
    "exec": "write the code out, or choose between functions",
    "compile": "write the code out",
    "__import__": "write a plain import statement",
    "input": "take it as an argument of main()",
    "breakpoint": "use print(): its output comes back with the result",
    "help": "use print(): its output comes back with the result",
    "globals": _AS_ARGUMENTS,
    "locals": _AS_ARGUMENTS,
    "exit": _RETURN,
    "quit": _RETURN,
}

_FOR_ATTRIBUTES = {
    "run_in_executor": _NO_PROCESSES,
    "subprocess_exec": _NO_PROCESSES,
    "subprocess_shell": _NO_PROCESSES,
}


def instead_of_builtin(name: str) -> str:
    return _FOR_BUILTINS.get(name, INTERNALS)


def instead_of_attribute(name: str) -> str:
    return _FOR_ATTRIBUTES.get(name, INTERNALS)


def instead_of_module(name: str) -> str:
    """``name``: the full name of a module, or of something public in one."""
    top = name.partition(".")[0]
    if _is_standard(top):
        known = _FOR_STANDARD.get(name) or _FOR_STANDARD.get(top)
        return known or "it is no part of what tools may use; write it without"
    package = _PACKAGES.get(top)
    asking = f"or {_ASK} for the package `{package}`" if package else f"or {_ASK}"
    known = _FOR_PACKAGES.get(top)
    return f"{known}; {asking}" if known else asking.removeprefix("or ")


def instead_of_part(name: str) -> str:
    """``name``: the full name of a part that stays out of a module that may be imported."""
    if name.startswith("pathlib."):
        return _FOR_STANDARD["pathlib"]
    while name:
        if name in _FOR_STANDARD:
            return _FOR_STANDARD[name]
        name = name.rpartition(".")[0]
    return "it leads to files, connections or code; write it without"


def _is_standard(top: str) -> bool:
    return top in sys.stdlib_module_names or top in _FORMER_STANDARD
