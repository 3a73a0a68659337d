// Where squish keeps what, for the user it runs as (contract section 4; XDG Base Directory Specification).
#pragma once

#include "base/result.h"

#include <string>

namespace squish {

struct Paths {
    std::string state;   // $XDG_RUNTIME_DIR/squish, or /tmp/squish-UID
    std::string data;    // $XDG_DATA_HOME/squish, or ~/.local/share/squish
    std::string config;  // $XDG_CONFIG_HOME/squish, or ~/.config/squish
    std::string socket;  // $SQUISH_SOCKET, or STATE/squishd.sock
    std::string bin;     // the folder of our own program: PREFIX/bin
    std::string libexec; // PREFIX/libexec/squish: keeper, stager, forwarder, init
    std::string share;   // PREFIX/share/squish: the built-in rootfs

    [[nodiscard]] std::string containers() const { return state + "/containers"; }
    [[nodiscard]] std::string keeper_socket() const { return state + "/keeper.sock"; }
    [[nodiscard]] std::string stager_socket() const { return state + "/stager.sock"; }
    [[nodiscard]] std::string layers_socket() const { return state + "/layers.sock"; }
    [[nodiscard]] std::string forward_socket() const { return state + "/forward.sock"; }
    [[nodiscard]] std::string nameserver_socket() const { return state + "/dns.sock"; }
};

// From the environment and /proc/self/exe. Makes nothing. The programs of squish are PREFIX/bin/X or
// PREFIX/libexec/squish/X; PREFIX is found from where this one is.
[[nodiscard]] Result<Paths> find_paths();

// Makes the state folder (0700) where it is missing and refuses one that another user owns or may enter:
// /tmp/squish-UID could have been made by anybody.
[[nodiscard]] Result<void> secure_state_folder(const Paths& paths);

} // namespace squish
