"""Keep pytest's root where the tests are when an option's value is a directory.

pytest settles its root directory and configuration before it knows the options of any plugin: of
``pytest --model /data/llama`` it takes ``/data/llama`` for a test path, looks for configuration
there, finds none, and collects everything below the current directory. Once our options are known,
so are the paths, and the root is settled again with pytest's own function.
"""

from __future__ import annotations

from pathlib import Path

import pytest

_PATH_OPTIONS = (
    "model",
    "include_path",
    "prompts_from",
    "gates",
    "baseline",
    "baselines",
    "reference",
    "output_path",
    "store",
)


def settle_root(config: pytest.Config, args: list[str]) -> None:
    """Settle root directory, configuration and ``addopts`` again, if a value was taken for a path.

    Raises:
        pytest.UsageError: this version of pytest does not let it; says how to write the option.
    """
    known = config.known_args_namespace
    values = [getattr(known, f"blindspot_{name}", None) for name in _PATH_OPTIONS]
    named = [
        str(item) for value in values for item in (value if isinstance(value, list) else [value])
    ]
    if not any(value != "None" and Path(value).exists() for value in named):
        return
    try:
        from _pytest.config.findpaths import determine_setup

        root, ini, settings, ignored = determine_setup(
            inifile=known.inifilename,
            override_ini=known.override_ini,
            args=known.file_or_dir,
            rootdir_cmd_arg=known.rootdir or None,
            invocation_dir=config.invocation_params.dir,
        )
        if (root, ini) == (config.rootpath, config.inipath):
            return
        config._rootpath, config._inipath = root, ini
        config._inicfg, config._ignored_config_files = settings, ignored
        config._inicache.clear()
        options = config.getini("addopts")
        config.pluginmanager.consider_preparse(options)
        args[:] = [*options, *args]
        config.known_args_namespace = config._parser.parse_known_args(args)
        config._configure_python_path()
    except (ImportError, AttributeError, TypeError):
        raise pytest.UsageError(
            "a directory given to an option was taken for a test path; write the option with an "
            "equals sign, such as --model=DIR"
        ) from None
    if config.known_args_namespace.confcutdir is None:
        config.known_args_namespace.confcutdir = str(ini.parent if ini else root)
