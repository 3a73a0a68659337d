// Names for containers that nobody named.
#include "squishfile/squishfile.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <sys/random.h>

namespace squish {

namespace {

// clang-format off
constexpr std::array kAdjectives = std::to_array<std::string_view>({
    "able", "agile", "airy", "amber", "ample", "apt", "autumn", "bold", "brave", "breezy", "bright", "brisk", "bronze",
    "busy", "calm", "candid", "cheery", "civil", "clean", "clear", "clever", "cosmic", "cozy", "crisp", "curious",
    "dapper", "daring", "dear", "deft", "dusky", "eager", "early", "earnest", "easy", "even", "exact", "fair", "famous",
    "fancy", "fast", "fine", "firm", "fleet", "fluent", "fond", "frank", "free", "fresh", "frosty", "gentle", "glad",
    "glowing", "golden", "good", "grand", "green", "handy", "happy", "hardy", "hearty", "honest", "humble", "ideal",
    "jolly", "joyful", "keen", "kind", "lasting", "light", "lively", "loyal", "lucid", "lucky", "lunar", "mellow",
    "merry", "mighty", "mild", "misty", "modest", "neat", "nimble", "noble", "open", "patient", "placid", "plucky",
    "polite", "prime", "proud", "prompt", "pure", "quick", "quiet", "rapid", "ready", "robust", "rosy", "rustic",
    "serene", "sharp", "shiny", "silent", "silver", "smart", "smooth", "snug", "sober", "solar", "solid", "spry",
    "stable", "steady", "sturdy", "sunny", "swift", "tidy", "tranquil", "trusty", "upbeat", "valiant", "vivid", "warm",
    "wise", "witty", "young", "zesty",
});
constexpr std::array kAnimals = std::to_array<std::string_view>({
    "albatross", "alpaca", "antelope", "armadillo", "auk", "badger", "bat", "bear", "beaver", "bee", "beetle", "bison",
    "bittern", "boar", "bobcat", "bunting", "buzzard", "camel", "caribou", "carp", "cat", "chamois", "cheetah",
    "chipmunk", "cicada", "cod", "condor", "coot", "cormorant", "cougar", "coyote", "crab", "crane", "cricket", "crow",
    "cuckoo", "curlew", "deer", "dingo", "dolphin", "dormouse", "dove", "dragonfly", "duck", "eagle", "eel", "egret",
    "eland", "elk", "ermine", "falcon", "ferret", "finch", "firefly", "fox", "frog", "gannet", "gazelle", "gecko",
    "gibbon", "goldfinch", "goose", "grebe", "grouse", "gull", "hamster", "hare", "hawk", "hedgehog", "heron", "herring",
    "hippo", "hoopoe", "horse", "ibex", "ibis", "iguana", "impala", "jackal", "jackdaw", "jaguar", "jay", "kestrel",
    "kingfisher", "kiwi", "koala", "krill", "lark", "lemming", "lemur", "leopard", "linnet", "lizard", "llama",
    "lobster", "lynx", "magpie", "mallard", "marmot", "marten", "martin", "mink", "mole", "moose", "moth", "mouse",
    "newt", "nuthatch", "ocelot", "octopus", "oriole", "oryx", "osprey", "otter", "owl", "panda", "panther", "parrot",
    "pelican", "penguin", "perch", "petrel", "pheasant", "pigeon", "pike", "plover", "pony", "puffin", "puma", "quail",
    "rabbit", "raven", "reindeer", "robin", "rook", "salmon", "seal", "serval", "shrew", "skylark", "sparrow", "squid",
    "squirrel", "starling", "stoat", "stork", "swallow", "swan", "swift", "tapir", "tern", "thrush", "tiger", "toad",
    "toucan", "trout", "turtle", "viper", "vole", "walrus", "weasel", "whale", "wolf", "wombat", "wren", "yak", "zebra",
});
// clang-format on

std::uint32_t random_number() {
    std::uint32_t value = 0;
    while (::getrandom(&value, sizeof value, 0) != sizeof value)
        if (errno != EINTR)
            std::abort(); // getrandom(2) cannot fail otherwise for a buffer we own
    return value;
}

} // namespace

std::string generate_name() {
    // the lists are so short against 2^32 that the remainder favours none of them noticeably
    std::string name(kAdjectives[random_number() % kAdjectives.size()]);
    name += '-';
    name += kAnimals[random_number() % kAnimals.size()];
    name += '-';
    return name + std::to_string(1000 + random_number() % 9000);
}

} // namespace squish
