"""Requests for everyday commands in a person's words, with names drawn at random.

The data's few rows for each tool teach its options, these teach the wordings that people try first.
"""

from __future__ import annotations

import random

FOLDERS = ("/tmp", "~/Downloads", "src", "~/music", "/var/log", "build", "out", "/home/ana/work", "backup", "docs",
           "~/projects/site", "./data", "/srv/www", "photos", "/opt/tools")  # fmt: skip
STEMS = ("archive notes report data backup photo main index config server test draft results project music film "
         "readme build log users sales map todo input output image letter thesis page app store").split()  # fmt: skip
EXTENSIONS = ("txt", "md", "csv", "json", "py", "log", "jpg", "png", "pdf", "tar.gz", "zip", "mp4", "html")
_ARCHIVES = ("tar", "tar.gz", "tar.gz", "tgz", "tar.xz", "tar.bz2")
_WORDS = ("error warning TODO import password timeout user main failed").split()
_BRANCHES = ("main dev feature fix-login release topic").split()

_COMMANDS = (
    ("tar", ("extract {archive}", "unpack {archive}", "decompress {archive}"), "tar xf {archive}"),
    ("tar", ("extract {archive} into {folder}", "unpack {archive} to {folder}", "extract {archive} in {folder}"),
     "tar xf {archive} -C {folder}"),
    ("tar", ("extract {archive} verbosely", "unpack {archive} and show the files"), "tar xvf {archive}"),
    ("tar", ("list the contents of {archive}", "show what is in {archive}"), "tar tvf {archive}"),
    ("tar", ("create {stem}.tar.gz from {folder}", "compress {folder} into {stem}.tar.gz",
             "pack {folder} as {stem}.tar.gz"), "tar czf {stem}.tar.gz {folder}"),
    ("tar", ("create {stem}.tar from {folder}", "archive {folder} into {stem}.tar"), "tar cf {stem}.tar {folder}"),
    ("unzip", ("extract {stem}.zip", "unpack {stem}.zip"), "unzip {stem}.zip"),
    ("unzip", ("extract {stem}.zip into {folder}", "unpack {stem}.zip to {folder}"), "unzip {stem}.zip -d {folder}"),
    ("zip", ("compress {folder} into {stem}.zip", "create {stem}.zip from {folder}"), "zip -r {stem}.zip {folder}"),
    ("ls", ("list all files", "show hidden files", "list files with hidden ones"), "ls -a"),
    ("ls", ("list all files in {folder} with sizes", "show {folder} in long format"), "ls -la {folder}"),
    ("ls", ("list files sorted by time", "show the newest files first"), "ls -lt"),
    ("find", ("find all {extension} files in {folder}", "list every {extension} file below {folder}"),
     "find {folder} -name '*.{extension}'"),
    ("find", ("find {file} in {folder}", "look for {file} in {folder}"), "find {folder} -name '{file}'"),
    ("find", ("find files larger than {n}M in {folder}", "list files over {n} megabytes in {folder}"),
     "find {folder} -size +{n}M"),
    ("find", ("find empty files in {folder}", "list empty files in {folder}"), "find {folder} -type f -empty"),
    ("grep", ("search for {word} in {file}", "find {word} in {file}", "look for {word} in {file}"),
     'grep "{word}" {file}'),
    ("grep", ("search for {word} in all files in {folder}", "find {word} in {folder} recursively"),
     'grep -r "{word}" {folder}'),
    ("grep", ("count the lines with {word} in {file}",), 'grep -c "{word}" {file}'),
    ("grep", ("search for {word} in {file}, ignoring case",), 'grep -i "{word}" {file}'),
    ("git", ("undo the last commit", "undo the last commit but keep the changes"), "git reset --soft HEAD~1"),
    ("git", ("create a branch called {branch}", "make a new branch {branch} and switch to it"),
     "git checkout -b {branch}"),
    ("git", ("switch to {branch}", "change to the branch {branch}"), "git checkout {branch}"),
    ("git", ("show the history", "show the last commits"), "git log"),
    ("git", ("show what changed", "show my changes"), "git diff"),
    ("git", ("merge {branch}", "merge the branch {branch} into mine"), "git merge {branch}"),
    ("cp", ("copy {file} to {folder}",), "cp {file} {folder}"),
    ("cp", ("copy the folder {folder} to {folder2}",), "cp -r {folder} {folder2}"),
    ("mv", ("move {file} to {folder}",), "mv {file} {folder}"),
    ("mv", ("rename {file} to {file2}",), "mv {file} {file2}"),
    ("rm", ("delete {file}", "remove {file}"), "rm {file}"),
    ("rm", ("delete the folder {folder}", "remove {folder} and everything in it"), "rm -r {folder}"),
    ("mkdir", ("create the folder {folder}/{stem} with its parents",), "mkdir -p {folder}/{stem}"),
    ("chmod", ("make {stem}.sh executable", "let me run {stem}.sh"), "chmod u+x {stem}.sh"),
    ("du", ("show the size of {folder}", "sum up the size of {folder}"), "du -sh {folder}"),
    ("df", ("show free disk space", "show how much disk space is left"), "df -h"),
    ("head", ("show the first {n} lines of {file}",), "head -n {n} {file}"),
    ("tail", ("show the last {n} lines of {file}",), "tail -n {n} {file}"),
    ("tail", ("follow {file}", "watch {file} as it grows"), "tail -f {file}"),
    ("wc", ("count the lines of {file}", "count the lines in {file}"), "wc -l {file}"),
    ("sort", ("sort {file} by number", "sort the numbers in {file}"), "sort -n {file}"),
    ("curl", ("download https://example.com/{file}", "save https://example.com/{file}"),
     "curl -O https://example.com/{file}"),
    ("wget", ("download https://example.com/{file}", "get https://example.com/{file}"),
     "wget https://example.com/{file}"),
    ("ping", ("ping example.com {n} times",), "ping -c {n} example.com"),
    ("kill", ("stop process {n}", "end the process {n}"), "kill {n}"),
    ("ps", ("list all processes", "show every running process"), "ps aux"),
)  # fmt: skip


def request(rng: random.Random) -> tuple[str, str, str]:
    """(tool, what to do, command) of one everyday command."""
    tool, wordings, command = rng.choice(_COMMANDS)
    stem, stem2 = rng.sample(STEMS, 2)
    folder, folder2 = rng.sample(FOLDERS, 2)
    extension = rng.choice(EXTENSIONS)
    names = {
        "archive": f"{stem}.{rng.choice(_ARCHIVES)}",
        "file": f"{stem}.{extension}",
        "file2": f"{stem2}.{extension}",
        "stem": stem,
        "folder": folder,
        "folder2": folder2,
        "extension": extension,
        "word": rng.choice(_WORDS),
        "branch": rng.choice(_BRANCHES),
        "n": rng.choice([3, 5, 10, 20, 50, 100, 250]),
    }
    return tool, rng.choice(wordings).format(**names), command.format(**names)
