#include "seccomp/oci_profile.h"

#include "base/text.h"
#include "seccomp/names.h"
#include "squishfile/node.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <sys/utsname.h>

namespace squish::seccomp {

using reader::Node;
using reader::quoted;

namespace {

constexpr std::size_t kMaxEntries = 4096; // of any list
constexpr std::size_t kMaxArguments = 64; // of one rule; an index may be repeated
constexpr int kLargestErrno = 4095;       // MAX_ERRNO (linux/err.h)
constexpr int kLastNamedErrno = 133;      // EHWPOISON (asm-generic/errno.h)
constexpr const char* kNobodyListens =
    "squish has no listener that could answer such a call; use SCMP_ACT_ERRNO, or SCMP_ACT_LOG to see what is called";

struct NamedAction {
    std::string_view name;
    Action::Kind kind;
};
constexpr auto kActions = std::to_array<NamedAction>({
    {"SCMP_ACT_ALLOW", Action::Kind::allow},
    {"SCMP_ACT_ERRNO", Action::Kind::refuse},
    {"SCMP_ACT_KILL", Action::Kind::kill_thread},
    {"SCMP_ACT_KILL_PROCESS", Action::Kind::kill_process},
    {"SCMP_ACT_KILL_THREAD", Action::Kind::kill_thread},
    {"SCMP_ACT_LOG", Action::Kind::log},
    {"SCMP_ACT_TRACE", Action::Kind::trace},
    {"SCMP_ACT_TRAP", Action::Kind::trap},
});

struct NamedCompare {
    std::string_view name;
    Compare compare;
};
constexpr auto kCompares = std::to_array<NamedCompare>({
    {"SCMP_CMP_EQ", Compare::equal},
    {"SCMP_CMP_GE", Compare::greater_or_equal},
    {"SCMP_CMP_GT", Compare::greater},
    {"SCMP_CMP_LE", Compare::less_or_equal},
    {"SCMP_CMP_LT", Compare::less},
    {"SCMP_CMP_MASKED_EQ", Compare::masked_equal},
    {"SCMP_CMP_NE", Compare::not_equal},
});

template <class Table> void fail_name(const Node& node, std::string_view given, const Table& table) {
    std::vector<std::string> names;
    std::vector<std::string_view> known;
    for (const auto& entry : table) {
        names.emplace_back(entry.name);
        known.push_back(entry.name);
    }
    auto message = "must be one of " + join(names, ", ") + ", not " + quoted(given);
    if (const auto near = nearest(given, known))
        message += "; did you mean '" + std::string(*near) + "'?";
    node.fail(message);
}

std::optional<std::uint16_t> errno_by_name(std::string_view name) {
    for (int number = 1; number <= kLastNamedErrno; ++number)
        if (const char* const known = ::strerrorname_np(number); known != nullptr && name == known)
            return static_cast<std::uint16_t>(number);
    return std::nullopt;
}

// "4.8" → {4, 8}
std::optional<std::pair<unsigned, unsigned>> parse_kernel(std::string_view text) {
    const auto parts = split(text, '.');
    if (parts.size() != 2)
        return std::nullopt;
    const auto major = parse_number(parts[0]), minor = parse_number(parts[1]);
    if (!major || !minor || *major > 9999 || *minor > 9999)
        return std::nullopt;
    return std::pair(static_cast<unsigned>(*major), static_cast<unsigned>(*minor));
}

// What "includes" or "excludes" says.
struct Circumstances {
    std::vector<std::string> capabilities, architectures;
    std::optional<std::pair<unsigned, unsigned>> kernel; // this one or a newer one
};

class Reader {
public:
    explicit Reader(const Surroundings& surroundings) : surroundings_(surroundings) {}

    void read(const Node& root) {
        const auto table = root.table({"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap",
                                       "syscalls", "flags", "listenerPath", "listenerMetadata", "comment"});
        if (const auto action = table.need("defaultAction", "what happens to calls that no rule is about"))
            out_.profile.standard =
                read_action(*action, table.get("defaultErrnoRet"), table.get("defaultErrno")).value_or(kKillProcess);
        read_architectures(root, table.get("architectures"), table.get("archMap"));
        if (const auto flags = table.get("flags"))
            read_flags(*flags);
        if (const auto listener = table.get("listenerPath"))
            if (const auto path = listener->string(); path && !path->empty())
                refuse_notify(*listener);
        if (const auto calls = table.get("syscalls"))
            for (const auto& entry : calls->items("an array of rules", kMaxEntries))
                read_rule(entry);
    }

    [[nodiscard]] const std::optional<std::string>& notify() const { return notify_; }

    OciProfile finish() {
        for (auto& [number, collected] : calls_) {
            if (collected.certain)
                collected.rules.clear();
            out_.profile.calls[number] = {std::move(collected.rules),
                                          collected.certain.value_or(out_.profile.standard)};
        }
        if (!unknown_.empty()) {
            const std::vector<std::string> names(unknown_.begin(), unknown_.end());
            out_.warnings.push_back("ignored, since no system call of this name is known here: " + join(names, ", "));
        }
        return std::move(out_);
    }

private:
    struct Collected {
        std::vector<Rule> rules;
        std::optional<Action> certain; // of the first rule without arguments
    };

    void refuse_notify(const Node& node) {
        if (!notify_)
            notify_ = quoted(node.path());
    }

    std::optional<Action> read_action(const Node& node, const std::optional<Node>& number,
                                      const std::optional<Node>& name) {
        const auto text = node.string();
        if (!text)
            return std::nullopt;
        if (*text == "SCMP_ACT_NOTIFY") {
            refuse_notify(node);
            return std::nullopt;
        }
        const auto found = std::ranges::find(kActions, *text, &NamedAction::name);
        if (found == kActions.end()) {
            fail_name(node, *text, kActions);
            return std::nullopt;
        }
        Action action{found->kind, 0};
        if (action.kind != Action::Kind::refuse && action.kind != Action::Kind::trace)
            return action; // an errno beside another action means nothing, and profiles have it
        action.data = EPERM;
        if (number)
            if (const auto given = number->integer(0, action.kind == Action::Kind::refuse ? kLargestErrno : 0xffff))
                action.data = static_cast<std::uint16_t>(*given);
        if (name)
            read_errno_name(*name, number.has_value(), action);
        return action;
    }

    // Podman writes the name beside the number, for readers.
    static void read_errno_name(const Node& node, bool has_number, Action& action) {
        const auto text = node.string();
        if (!text || text->empty())
            return;
        const auto known = errno_by_name(*text);
        if (!known)
            node.fail(quoted(*text) + " is not the name of an errno (see errno(3))");
        else if (has_number && *known != action.data)
            node.fail("is " + quoted(*text) + ", another one than the number beside it");
        else
            action.data = *known;
    }

    static void read_architectures(const Node& root, const std::optional<Node>& list, const std::optional<Node>& map) {
        std::vector<std::string> named;
        if (list)
            named = list->strings(kMaxEntries);
        if (map) {
            for (const auto& entry : map->items("an array of tables", kMaxEntries)) {
                const auto table = entry.table({"architecture", "subArchitectures"});
                if (const auto main = table.get("architecture"))
                    if (auto text = main->string())
                        named.push_back(*std::move(text));
                if (const auto others = table.get("subArchitectures"))
                    (void) others->strings(kMaxEntries); // they can never be called here
            }
            if (list && list->size() > 0)
                root.report().add(map->at(), "'architectures' and 'archMap' are both given: which one counts?");
        }
        if (!named.empty() && std::ranges::find(named, kOciArchitecture) == named.end())
            root.report().add(root.at(), "the profile is for other architectures than " +
                                             std::string(kOciArchitecture) + ", which containers have here");
    }

    void read_flags(const Node& node) {
        for (const auto& item : node.items("an array of strings", kMaxEntries)) {
            const auto text = item.string();
            if (!text || *text == "SECCOMP_FILTER_FLAG_TSYNC") // there is one thread when a filter is installed
                continue;
            if (*text == "SECCOMP_FILTER_FLAG_LOG")
                out_.profile.flags |= SECCOMP_FILTER_FLAG_LOG;
            else if (*text == "SECCOMP_FILTER_FLAG_SPEC_ALLOW")
                out_.profile.flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
            else if (*text == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")
                refuse_notify(item);
            else
                item.fail(quoted(*text) + " is not a flag of seccomp(2) that can be had");
        }
    }

    [[nodiscard]] static Circumstances read_circumstances(const Node& node) {
        Circumstances out;
        const auto table = node.table({"caps", "arches", "minKernel"});
        if (const auto caps = table.get("caps"))
            out.capabilities = caps->strings(kMaxEntries);
        if (const auto arches = table.get("arches"))
            out.architectures = arches->strings(kMaxEntries);
        if (const auto kernel = table.get("minKernel"))
            if (const auto text = kernel->string(); text && !text->empty()) {
                out.kernel = parse_kernel(*text);
                if (!out.kernel)
                    kernel->fail("must be a version such as \"4.8\", not " + quoted(*text));
            }
        return out;
    }

    [[nodiscard]] bool has(const std::string& capability) const {
        return std::ranges::find(surroundings_.capabilities, capability) != surroundings_.capabilities.end();
    }

    // Docker's rules: of "includes" everything must hold, of "excludes" nothing may.
    [[nodiscard]] bool applies(const std::optional<Node>& includes, const std::optional<Node>& excludes) const {
        bool applies = true;
        if (includes) {
            const auto wanted = read_circumstances(*includes);
            applies &= std::ranges::all_of(wanted.capabilities, [&](const auto& one) { return has(one); });
            applies &= wanted.architectures.empty() ||
                       std::ranges::find(wanted.architectures, kGoArchitecture) != wanted.architectures.end();
            applies &= !wanted.kernel || surroundings_.kernel >= *wanted.kernel;
        }
        if (excludes) {
            const auto unwanted = read_circumstances(*excludes);
            applies &= std::ranges::none_of(unwanted.capabilities, [&](const auto& one) { return has(one); });
            applies &= std::ranges::find(unwanted.architectures, kGoArchitecture) == unwanted.architectures.end();
            applies &= !unwanted.kernel || surroundings_.kernel < *unwanted.kernel;
        }
        return applies;
    }

    static std::optional<Condition> read_condition(const Node& node) {
        const auto table = node.table({"index", "value", "valueTwo", "op"});
        Condition condition;
        condition.width = Width::whole64;
        const auto index = table.need("index", "which argument, 0 to 5");
        const auto number = index ? index->integer(0, 5) : std::nullopt;
        const auto value = table.need("value", "what the argument is compared with");
        const auto first = value ? value->word() : std::nullopt;
        const auto value_two = table.get("valueTwo");
        const auto second = value_two ? value_two->word() : std::optional<std::uint64_t>(0);
        const auto op = table.need("op", "how it is compared");
        const auto text = op ? op->string() : std::nullopt;
        if (!number || !first || !second || !text)
            return std::nullopt;
        const auto found = std::ranges::find(kCompares, *text, &NamedCompare::name);
        if (found == kCompares.end()) {
            fail_name(*op, *text, kCompares);
            return std::nullopt;
        }
        condition.argument = static_cast<std::uint32_t>(*number);
        condition.compare = found->compare;
        condition.value = *first;
        if (condition.compare == Compare::masked_equal) { // `value` is the mask, `valueTwo` what must be left
            condition.mask = *first;
            condition.value = *second;
        }
        return condition;
    }

    // Alternatives, each a list of conditions that must all hold.
    static std::vector<std::vector<Condition>> read_arguments(const std::optional<Node>& node) {
        std::vector<Condition> all;
        if (node)
            for (const auto& item : node->items("an array of tables", kMaxArguments))
                if (auto condition = read_condition(item))
                    all.push_back(*condition);
        std::set<std::uint32_t> indexes;
        for (const auto& condition : all)
            indexes.insert(condition.argument);
        if (indexes.size() == all.size())
            return {all};
        std::vector<std::vector<Condition>> out;
        for (const auto& condition : all)
            out.push_back({condition});
        return out;
    }

    [[nodiscard]] static bool lets_through(Action action) {
        return action.kind == Action::Kind::allow || action.kind == Action::Kind::log;
    }

    void read_rule(const Node& node) {
        const auto table =
            node.table({"names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes"});
        std::vector<std::string> names;
        if (const auto list = table.get("names"))
            names = list->strings(kMaxEntries);
        if (const auto name = table.get("name")) // Docker before 1.12
            if (auto text = name->string(); text && !text->empty())
                names.push_back(*std::move(text));
        if (names.empty())
            node.fail("needs 'names', the system calls that it is about");
        const auto action_node = table.need("action", "what happens to these calls");
        const auto action =
            action_node ? read_action(*action_node, table.get("errnoRet"), table.get("errno")) : std::nullopt;
        const auto alternatives = read_arguments(table.get("args"));
        // Read before it is asked whether the rule applies: what is wrong is wrong everywhere.
        if (!applies(table.get("includes"), table.get("excludes")) || !action)
            return;
        for (const auto& name : names)
            add(node, name, *action, alternatives);
    }

    void add(const Node& node, const std::string& name, Action action,
             const std::vector<std::vector<Condition>>& alternatives) {
        const auto call = find_call(name);
        if (call.where == NamedCall::Where::nowhere) {
            // Somebody relies on its being refused: a slip of the pen must not open it.
            if (lets_through(out_.profile.standard) && !lets_through(action))
                node.fail("cannot refuse " + quoted(name) + ": no system call of this name is known here");
            else
                unknown_.insert(quoted(name));
            return;
        }
        if (call.where == NamedCall::Where::elsewhere || action == out_.profile.standard)
            return;
        auto& collected = calls_[call.number];
        for (const auto& conditions : alternatives) {
            if (conditions.empty()) {
                if (!collected.certain)
                    collected.certain = action;
            } else {
                collected.rules.push_back({conditions, action});
            }
        }
    }

    const Surroundings& surroundings_;
    OciProfile out_;
    std::map<std::uint32_t, Collected> calls_;
    std::set<std::string> unknown_;
    std::optional<std::string> notify_; // the key that asks for it
};

std::string all_of(const std::vector<Diagnostic>& diagnostics) {
    std::vector<std::string> messages;
    for (const auto& diagnostic : diagnostics)
        messages.push_back(diagnostic.message);
    return join(messages, "; ");
}

} // namespace

std::pair<unsigned, unsigned> running_kernel() {
    utsname names{};
    if (::uname(&names) < 0)
        return {0, 0};
    const std::string_view release = names.release; // "6.1.0-13-amd64"
    const auto end = release.find_first_not_of("0123456789.");
    const auto parts = split(release.substr(0, end), '.');
    if (parts.size() < 2)
        return {0, 0};
    return parse_kernel(std::string(parts[0]) + "." + std::string(parts[1])).value_or(std::pair(0U, 0U));
}

Result<OciProfile> parse_oci_profile(std::string_view json, const Surroundings& surroundings) {
    if (json.size() > kMaxProfileBytes)
        return fail(ErrorKind::invalid, "too large for a seccomp profile: " + std::to_string(json.size()) +
                                            " bytes, at most " + std::to_string(kMaxProfileBytes));
    const auto root = reader::read_json(json);
    if (!root)
        return fail(ErrorKind::invalid, all_of(root.error()));
    reader::Report report;
    Reader reader(surroundings);
    reader.read(Node(*root, {}, "", report));
    if (!report.empty())
        return fail(ErrorKind::invalid, all_of(std::move(report).take()));
    if (reader.notify())
        return fail(ErrorKind::unsupported, *reader.notify() + " asks for SCMP_ACT_NOTIFY", kNobodyListens);
    return reader.finish();
}

} // namespace squish::seccomp
