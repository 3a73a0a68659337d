#!/usr/bin/env python3
"""generate.py SQUISH [FOLDER]: makes the shell completions from `squish --help` and `squish COMMAND --help`, and writes
them to FOLDER (default: here). test/docs/check-cli-docs.py checks that what is committed is what this makes."""
import pathlib
import re
import subprocess
import sys

NESTED = {"port": ["ls", "add", "rm", "rebind"], "network": ["ls", "create", "rm", "inspect"], "daemon": ["start", "stop", "status"],
          "layer": ["ls", "pull", "import", "build", "rm", "verify", "prune", "attach", "detach"]}
TAKES_FILES = {"run", "create", "validate", "lock", "layer import", "layer build"}
TAKES_CONTAINERS = {"stop", "kill", "pause", "unpause", "wait", "rm", "inspect", "logs", "stats", "update", "exec", "port ls", "port add", "port rm", "port rebind", "layer attach", "layer detach"}
TAKES_LAYERS = {"layer rm", "layer verify"}
TAKES_NETWORKS = {"network rm", "network inspect"}
LISTS = {"containers": "squish ps -aq 2>/dev/null", "layers": "squish layer ls -q 2>/dev/null",
         "networks": "squish network ls -q 2>/dev/null"}


def argument_of(command):
    """What completes the arguments that are no options."""
    for what, commands in (("files", TAKES_FILES), ("containers", TAKES_CONTAINERS), ("layers", TAKES_LAYERS),
                           ("networks", TAKES_NETWORKS)):
        if command in commands:
            return what
    return ""


def help_of(squish, *command):
    return subprocess.run([squish, *command, "--help"], check=True, capture_output=True, text=True).stdout


def read_commands(squish):
    """{name: summary} of the commands, in their order."""
    block = help_of(squish).split("Commands:\n")[1].split("\n\n")[0]
    commands = {}
    for line in block.splitlines():
        name, summary = line.strip().split(None, 1)
        commands[name] = summary
    return commands


def read_options(squish, command):
    """[(short or None, long, placeholder or None, help)]"""
    options = []
    for line in help_of(squish, *command.split()).split("Options:\n")[1].split("\n\n")[0].splitlines():
        match = re.fullmatch(r"  (?:(-\w), |    )(--[\w-]+)(?: (\S+))?  +(.*)", line)
        if not match:
            sys.exit(f"squish {command} --help: cannot read the line {line!r}")
        options.append(match.groups())
    return options


def read_all(squish):
    table = {}
    for name, summary in read_commands(squish).items():
        for command in [f"{name} {sub}" for sub in NESTED[name]] if name in NESTED else [name]:
            table[command] = (summary, read_options(squish, command))
    return table


HEADER = "# Made by completions/generate.py from squish --help; do not edit.\n"


def bash(commands, table):
    out = HEADER + "# shellcheck shell=bash disable=SC2207\n\n_squish() {\n"
    out += "    local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]-} options='' what=''\n"
    out += "    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    out += f"        COMPREPLY=($(compgen -W '{' '.join(commands)} --help --version' -- \"$cur\"))\n        return\n    fi\n"
    out += "    case $command in\n"
    for name, subs in NESTED.items():
        out += f"    {name})\n        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
        out += f"            COMPREPLY=($(compgen -W '{' '.join(subs)} --help' -- \"$cur\"))\n            return\n        fi\n"
        out += f"        command=\"{name} ${{COMP_WORDS[2]}}\"\n        ;;\n"
    out += "    esac\n    case $command in\n"
    for command, (_, options) in table.items():
        words = [word for short, long, _, _ in options for word in (short, long) if word]
        what = argument_of(command)
        out += f"    '{command}')\n        options='{' '.join(words)}'\n" + (f"        what={what}\n" if what else "") + "        ;;\n"
    out += "    esac\n    case $cur in\n    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n    *)\n        case $what in\n"
    out += "        files) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    for what, listing in LISTS.items():
        out += f"        {what}) COMPREPLY=($(compgen -W \"$({listing})\" -- \"$cur\")) ;;\n"
    return out + "        esac\n        ;;\n    esac\n}\n\ncomplete -o filenames -F _squish squish\n"


def zsh_quote(text):
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh(commands, table):
    out = "#compdef squish\n" + HEADER + "\n"
    for what, listing in LISTS.items():
        out += f"_squish_{what}() {{\n    local -a found\n    found=(${{(f)\"$({listing})\"}})\n    compadd -a found\n}}\n\n"
    out += "_squish() {\n    local -a commands\n"
    out += "    if (( CURRENT == 2 )); then\n        commands=(\n"
    for name, summary in commands.items():
        out += f"            '{name}:{zsh_quote(summary)}'\n"
    out += "        )\n        _describe command commands\n        _arguments '--help[print help]' '--version[print the version]'\n        return\n    fi\n"
    out += "    local command=$words[2]\n    case $command in\n"
    for name, subs in NESTED.items():
        out += f"    {name})\n        if (( CURRENT == 3 )); then\n            compadd {' '.join(subs)}\n            return\n        fi\n"
        out += f"        command=\"{name} $words[3]\"\n        ;;\n"
    out += "    esac\n    shift words\n    (( CURRENT-- ))\n    case $command in\n"
    for command, (_, options) in table.items():
        out += f"    '{command}')\n        _arguments \\\n"
        for short, long, placeholder, text in options:
            value = f":{zsh_quote(placeholder)}:" if placeholder else ""
            for name in (short, long):
                if name:
                    out += f"            '*{name}[{zsh_quote(text)}]{value}' \\\n"
        what = argument_of(command)
        action = f"_squish_{what}" if what in LISTS else "_files" if what else ""
        out += (f"            '*:argument:{action}'\n" if action else "            && return\n") + "        ;;\n"
    return out + "    esac\n}\n\n_squish \"$@\"\n"


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish(commands, table):
    out = HEADER + "\ncomplete -c squish -f\ncomplete -c squish -n __fish_use_subcommand -l help -d 'print help'\n"
    out += "complete -c squish -n __fish_use_subcommand -l version -d 'print the version'\n"
    for name, summary in commands.items():
        out += f"complete -c squish -n __fish_use_subcommand -a {name} -d {fish_quote(summary)}\n"
    for name, subs in NESTED.items():
        out += f"complete -c squish -n '__fish_seen_subcommand_from {name}' -a '{' '.join(subs)}'\n"
    for command, (_, options) in table.items():
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.split())
        for short, long, placeholder, text in options:
            flags = (f"-s {short[1:]} " if short else "") + f"-l {long[2:]}" + (" -x" if placeholder else "")
            out += f"complete -c squish -n '{seen}' {flags} -d {fish_quote(text)}\n"
        what = argument_of(command)
        if what == "files":
            out += f"complete -c squish -n '{seen}' -F\n"
        elif what:
            out += f"complete -c squish -n '{seen}' -a '({LISTS[what]})'\n"
    return out


def generate(squish):
    commands, table = read_commands(squish), read_all(squish)
    return {"bash/squish": bash(commands, table), "zsh/_squish": zsh(commands, table), "fish/squish.fish": fish(commands, table)}


def main():
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent)
    for name, text in generate(sys.argv[1]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
