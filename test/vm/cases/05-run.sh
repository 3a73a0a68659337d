# shellcheck shell=bash disable=SC2154 # of lib.sh
# A container runs here at all: without a network, and with one, whose published port answers.
# timeout: 180
# drivers: plain systemd direct
squishfile none.toml '' args hello
assert_equal "$(squish run --rm none.toml)" "[hello]"
squishfile code.toml '' exit 7
code=0
squish run --rm code.toml || code=$?
assert_equal "$code" 7

id=$(start web '[network]
mode = "bridge"
[[ports]]
container = 8000
host = 8000' http 8000 here)
must 60 curl -fsS --max-time 5 -o page http://127.0.0.1:8000/
assert_equal "$(cat page)" here
assert_equal "$(state_of web)" running
assert_equal "$(squish stop web)" "$id"
