# Networks between containers, and the names that they have there.
load helpers

# A container that waits, with a shell: create_on NAME [NETWORK…]. Prints the id.
create_on() {
    local name=$1 list='' network
    shift
    for network in "$@"; do list+="\"$network\", "; done
    shell_file "$name.toml" 'sleep 1000' "[network]
networks = [${list%, }]" && squish create --name "$name" "$name.toml"
}
# A web server that says TEXT, on port 80: create_web NAME TEXT [NETWORK [ALIAS]].
create_web() {
    testbin_file "$1.toml" http 80 "$2"
    printf '[network]\nnetworks = [%s]\naliases = [%s]\n' "${3:+\"$3\"}" "${4:+\"$4\"}" >>"$1.toml"
    squish create --name "$1" "$1.toml" >/dev/null && wait_for 10 eval "squish logs $1 | grep -q ready"
}
# lookup CONTAINER NAME: the IPv4 addresses that it gets, one per line, in the order of the answer.
lookup() { squish exec "$1" nslookup -type=a "$2" 2>/dev/null | awk '/^Name:/ { named = 1 } named && /^Address/ { print $NF }'; }
# No stderr: a name that is not there is an error of nslookup's, too.
lookup_fails() { [ -z "$(lookup "$1" "$2")" ]; }
page() { squish exec "$1" timeout 5 wget -q -O - "http://$2/"; } # busybox 1.35's -T crashes
address_of() { squish inspect "$1" | json "[0][\"networks\"][${2-0}][\"address\"]"; }
# In the user's own network namespace, as the user.
in_bridge_namespace() { nsenter -t "$(helper_pid squish-keeper)" -U -n --preserve-credentials "$@"; }

teardown() {
    local names
    e2e_teardown
    names=$(squish network ls -q | grep -v '^default$') || true
    # shellcheck disable=SC2086 # names are words
    [ -z "$names" ] || squish network rm $names >/dev/null
}

# --- names -----------------------------------------------------------------------------------------------------------

@test "containers of the default network find each other by name, by alias and by id" {
    create_web web "hello by name" '' www
    client=$(create_shell 'sleep 1000')
    assert_equal "$(page "$client" web)" "hello by name"
    assert_equal "$(page "$client" www)" "hello by name"
    assert_equal "$(page "$client" WEB)" "hello by name"
    id=$(squish inspect web | json '[0]["id"]')
    assert_equal "$(page "$client" "${id:0:12}")" "hello by name"
    assert_equal "$(lookup "$client" web)" "$(address_of web)"
    # AAAA, where the kernel has IPv6, and the way back.
    six=$(squish inspect web | json '[0]["address6"]')
    if [ -n "$six" ]; then assert_contains "$(squish exec "$client" nslookup -type=aaaa web)" "$six"; fi
    assert_contains "$(squish exec "$client" nslookup "$(address_of web)")" "name = web"
    # What the payload is told.
    assert_equal "$(squish exec "$client" cat /etc/resolv.conf)" "nameserver 10.89.0.1"
    assert_equal "$(squish inspect web | json '[0]["networks"][0]["network"]')" default
    assert_equal "$(squish inspect web | json '[0]["networks"][0]["names"][1]')" www
}

@test "a name is there as soon as its container is, and gone as soon as it has ended" {
    client=$(create_shell 'sleep 1000')
    for _ in 1 2 3 4 5; do
        lookup_fails "$client" short
        create_on short >/dev/null
        assert_equal "$(lookup "$client" short)" "$(address_of short)"
        squish rm -f short >/dev/null
        wait_for 2 lookup_fails "$client" short
    done
}

@test "several containers with one alias: all addresses, in turns" {
    squish network create pool
    for name in one two three; do
        shell_file "$name.toml" 'sleep 1000' $'[network]\nnetworks = ["pool"]'
        squish create --network-alias db --name "$name" "$name.toml" >/dev/null
    done
    create_on client pool
    assert_equal "$(lookup client db | sort)" "$({ address_of one; address_of two; address_of three; } | sort)"
    for _ in 1 2 3 4 5 6; do lookup client db | head -n 1; done >first
    assert_equal "$(sort -u first | wc -l)" 3
    # One less.
    squish stop -t 0 two
    wait_for 2 eval '[ "$(lookup client db | wc -l)" -eq 2 ]'
}

@test "a container looks up its own name, and what is no container's is asked elsewhere" {
    create_on alone
    assert_equal "$(lookup alone alone)" "$(address_of alone)"
    lookup_fails alone no-such-container
    # An address of ours that nobody has is nobody else's business.
    run squish exec alone nslookup 10.89.9.9
    assert_contains "$output" NXDOMAIN
}

# --- networks --------------------------------------------------------------------------------------------------------

@test "networks are made, listed, shown and removed" {
    run -0 squish network create front back
    assert_equal "$output" $'front\nback'
    assert_equal "$(squish network ls -q)" $'default\nback\nfront'
    run -0 squish network ls
    assert_matches "${lines[0]}" '^NAME +SUBNET +IPV6 SUBNET +CREATED +CONTAINERS$'
    assert_matches "$output" 'front +10\.89\.16\.0/24'
    assert_equal "$(squish network ls --json | json '[2]["gateway"]')" 10.89.16.1
    create_on member back >/dev/null
    assert_equal "$(squish network inspect back | json '[0]["containers"][0]["name"]')" member
    assert_equal "$(squish network inspect back | json '[0]["containers"][0]["address"]')" "$(address_of member)"
    # Not one that is in use; one by one otherwise.
    run --separate-stderr squish network rm back front
    assert_status 1
    assert_message "network 'back' is used by member"
    assert_equal "$output" front
    squish rm -f member
    assert_equal "$(squish network rm back)" back
    assert_equal "$(squish network ls -q)" default
}

@test "what cannot be is said clearly" {
    squish network create there
    for bad in '' ' ' -x '../x' host none bridge default "$(printf 'a%.0s' {1..64})" there; do
        run --separate-stderr squish network create -- "$bad"
        [ "$status" -ne 0 ] || fail "'$bad' was taken"
        assert_contains "$stderr" "squish: "
    done
    run --separate-stderr squish network rm default
    assert_status 2
    assert_message "cannot be removed"
    run --separate-stderr squish network rm nowhere
    assert_status 1
    assert_message "there is no network 'nowhere'"
    run --separate-stderr squish network inspect nowhere
    assert_status 1
    # In a squishfile: nothing is left of the container.
    run --separate-stderr create_on lost nowhere
    assert_message "there is no network 'nowhere'"
    assert_contains "$stderr" "squish network create nowhere"
    assert_no_container
    # In mode none.
    shell_file none.toml 'true' $'[network]\nmode = "none"'
    run --separate-stderr squish run --rm --network there none.toml
    assert_message '--network'
    run --separate-stderr squish run --rm --network 'a b' none.toml
    [ "$status" -ne 0 ]
}

@test "containers of different networks do not find or reach each other" {
    squish network create red blue
    create_web red1 "red one" red
    create_web blue1 "blue one" blue
    create_web plain1 "plain one"
    create_on red2 red >/dev/null
    assert_equal "$(page red2 red1)" "red one"
    for other in blue1 plain1; do
        lookup_fails red2 "$other"
        run ! squish exec red2 timeout 2 wget -q -O - "http://$(address_of "$other")/"
    done
    run ! squish exec plain1 /app/testbin connect "$(address_of red1)" 80
    # Nor is another network's name server asked, nor the uplink's, nor any gateway's other ports.
    cat >probe <<'SCRIPT'
for server in 10.89.17.1 10.89.0.1 10.0.2.3; do
    timeout 3 nslookup red1 $server >/dev/null 2>&1 && echo "asked $server" &
done
wait
echo done
SCRIPT
    run -0 squish exec -i red2 /bin/sh -s <probe
    assert_equal "$output" "done"
}

@test "a container on several networks has a place and names in each" {
    squish network create red blue
    create_web red1 "red one" red
    create_web blue1 "blue one" blue
    create_on both red blue >/dev/null
    assert_equal "$(page both red1)" "red one"
    assert_equal "$(page both blue1)" "blue one"
    create_on red2 red >/dev/null
    create_on blue2 blue >/dev/null
    assert_equal "$(lookup red2 both)" "$(address_of both 0)"
    assert_equal "$(lookup blue2 both)" "$(address_of both 1)"
    assert_equal "$(squish exec both ls /sys/class/net | tr '\n' ' ')" "eth0 eth1 lo "
    # It does not pass anything on.
    run ! squish exec red2 timeout 2 wget -q -O - "http://$(address_of blue1)/"
    # With the default one, by an option.
    squish rm -f both
    squish create --name both --network default --network blue both.toml
    assert_equal "$(squish inspect both | json '[0]["networks"][0]["network"]')" default
    assert_equal "$(page both blue1)" "blue one"
}

@test "published ports of a container on a named network" {
    squish network create red
    port=$(free_port)
    testbin_file web.toml http 80 "from a named network"
    squish create --network red --publish "$port:80" web.toml
    assert_equal "$(fetch "http://127.0.0.1:$port/")" "from a named network"
}

# --- what outlives whom ----------------------------------------------------------------------------------------------

@test "squish-dns is killed: names are there again, and the uplink's" {
    squish network create red
    create_web red1 "red one" red
    create_web plain1 "plain one"
    create_on red2 red >/dev/null
    client=$(create_shell 'sleep 1000')
    for _ in 1 2 3; do
        old=$(helper_pid squish-dns)
        kill -9 "$old"
        wait_for 5 is_gone "$old"
        wait_for 5 eval '[ "$(lookup red2 red1)" = "$(address_of red1)" ]'
        wait_for 5 eval '[ "$(page "$client" plain1)" = "plain one" ]'
    done
    # And a container that starts at that very moment.
    kill -9 "$(helper_pid squish-dns)"
    create_on red3 red
    wait_for 5 eval '[ "$(lookup red2 red3)" = "$(address_of red3)" ]'
}

@test "names, networks and their containers outlive squishd" {
    squish network create red
    create_web red1 "red one" red
    create_on red2 red >/dev/null
    kill -9 "$(helper_pid squishd)"
    assert_equal "$(page red2 red1)" "red one"
    assert_equal "$(squish network ls -q)" $'default\nred'
    assert_equal "$(squish network inspect red | json '[0]["containers"].__len__()')" 2
    # Stopped in order, and started again by the next command.
    squish daemon stop
    create_on red3 red >/dev/null
    assert_equal "$(lookup red2 red3)" "$(address_of red3)"
    assert_equal "$(lookup red3 red1)" "$(address_of red1)"
    # The stager dies, too: addresses stay unique.
    kill -9 "$(helper_pid squish-stager)"
    create_on red4 red >/dev/null
    for name in red1 red2 red3 red4; do address_of "$name"; done | sort | uniq -d >twice
    assert_equal "$(cat twice)" ""
    assert_equal "$(page red4 red1)" "red one"
}

@test "a bridge that somebody deletes is there again, with its containers and names" {
    squish network create red
    create_web red1 "red one" red
    create_web plain1 "plain one"
    create_on red2 red >/dev/null
    client=$(create_shell 'sleep 1000')
    in_bridge_namespace ip link delete sqb1
    in_bridge_namespace ip link delete squish0
    wait_for 10 eval '[ "$(page red2 red1)" = "red one" ]'
    wait_for 10 eval '[ "$(page "$client" plain1)" = "plain one" ]'
    # A new container, too.
    create_on red3 red >/dev/null
    assert_equal "$(page red3 red1)" "red one"
}

@test "a network that is full says so, and has room again when a container ends" {
    squish network create tight
    # The other addresses are taken by links that only look like containers'.
    create_on first tight >/dev/null
    seq 3 254 | awk '{ n = 16 * 256 + $1; print "link add sq" n " type veth peer name x" n }' | in_bridge_namespace ip -batch -
    run --separate-stderr create_on late tight
    assert_status 125
    assert_message "is full"
    squish rm -f first
    wait_for 10 create_on late tight
    seq 3 254 | awk '{ n = 16 * 256 + $1; print "link delete sq" n }' | in_bridge_namespace ip -batch -
    squish rm -f late
}
