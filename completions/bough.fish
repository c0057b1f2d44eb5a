# SPDX-License-Identifier: MIT
# fish completion for bough(1).
function __bough_pids
    bough ps 2>/dev/null | awk 'NR > 1 { print $1 "\t" ($5 == "-" ? $6 : $7) }'
end

complete -c bough -f
complete -c bough -n __fish_use_subcommand -a dump -d 'show all there is to see of a process'
complete -c bough -n __fish_use_subcommand -a interrupt -d 'ask a thread, a branch or everything to stop'
complete -c bough -n __fish_use_subcommand -a picture -d 'draw a recording'
complete -c bough -n __fish_use_subcommand -a ps -d 'list the processes that use bough'
complete -c bough -n __fish_use_subcommand -a resolve -d 'show a saved dump with the names of functions'
complete -c bough -n __fish_use_subcommand -a run -d 'run a program whose threads end'
complete -c bough -n __fish_use_subcommand -a top -d 'watch the threads and branches of a process'
complete -c bough -n __fish_use_subcommand -a trace -d 'show a recording as text'
complete -c bough -n __fish_use_subcommand -a tree -d 'show the threads and branches of a process'
complete -c bough -n __fish_use_subcommand -a help -d 'explain a command'
complete -c bough -n __fish_use_subcommand -l version -d 'print the version'
complete -c bough -l help -d 'explain a command'
complete -c bough -n '__fish_seen_subcommand_from dump interrupt top tree' -a '(__bough_pids)'
complete -c bough -n '__fish_seen_subcommand_from interrupt' -a all -d 'every thread'
complete -c bough -n '__fish_seen_subcommand_from interrupt' -x -l reason -d 'what the target reads'
complete -c bough -n '__fish_seen_subcommand_from interrupt' -x -l rung -a '1 2 3 4 5 6' -d 'begin at this rung'
complete -c bough -n '__fish_seen_subcommand_from interrupt' -x -l ceiling -a '1 2 3 4 5 6' -d 'climb no higher'
complete -c bough -n '__fish_seen_subcommand_from interrupt' -l yes -d 'do not ask'
complete -c bough -n '__fish_seen_subcommand_from interrupt' -x -l wait -d 'seconds to wait for the end'
complete -c bough -n '__fish_seen_subcommand_from picture' -r -F -s o -l output -d 'the picture: .svg, .html, .json'
complete -c bough -n '__fish_seen_subcommand_from picture' -x -l from -d 'draw what is later'
complete -c bough -n '__fish_seen_subcommand_from picture' -x -l to -d 'draw what is earlier'
complete -c bough -n '__fish_seen_subcommand_from picture' -x -l lanes -d 'draw at most so many lanes'
complete -c bough -n '__fish_seen_subcommand_from picture' -F
complete -c bough -n '__fish_seen_subcommand_from run' -x -l grace -d 'seconds of the ladder'
complete -c bough -n '__fish_seen_subcommand_from run' -r -F -l dump -d 'where a dump is written'
complete -c bough -n '__fish_seen_subcommand_from run' -l report -d 'write what is covered'
complete -c bough -n '__fish_seen_subcommand_from run' -x -s m -d 'a Python module'
complete -c bough -n '__fish_seen_subcommand_from run' -x -s c -d 'Python code'
complete -c bough -n '__fish_seen_subcommand_from run' -F
complete -c bough -n '__fish_seen_subcommand_from dump ps tree' -l json -d 'output for programs'
complete -c bough -n '__fish_seen_subcommand_from dump resolve' -r -F -l debug -d 'look for debug files here'
complete -c bough -n '__fish_seen_subcommand_from resolve trace' -F
complete -c bough -n '__fish_seen_subcommand_from tree' -l all -d 'show each idle worker'
complete -c bough -n '__fish_seen_subcommand_from tree' -r -F -l file -d 'read a copy of an arena'
complete -c bough -n '__fish_seen_subcommand_from top' -x -l interval -d 'seconds between two readings'
complete -c bough -n '__fish_seen_subcommand_from help' -a 'dump interrupt picture ps resolve run top trace tree'
