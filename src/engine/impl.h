// Engine::Impl: the engine's state and its coroutines, over several files by concern:
//   create.cpp (start a container), exec.cpp, lifecycle.cpp (end, stop, remove), publish.cpp (ports), networks.cpp,
//   limits.cpp (cgroups, figures), show.cpp (/proc), health.cpp, restart.cpp, recover.cpp (after a restart of ours),
//   engine.cpp (the rest)
#pragma once

#include "engine/ground.h"
#include "engine/oom_watch.h"
#include "engine/ports.h"
#include "engine/record.h"

#include <boost/asio/io_context.hpp>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace squish {

class Engine::Impl {
public:
    Impl(asio::io_context& loop, Paths paths, EngineConfig config);
    [[nodiscard]] Task<void> open();

    [[nodiscard]] Task<std::string> create(CreateRequest request);
    [[nodiscard]] Task<std::string> exec(std::string id, ExecRequest request);
    [[nodiscard]] Task<ExitInfo> wait(std::string id);
    [[nodiscard]] Task<ExitInfo> wait_exec(std::string id);
    [[nodiscard]] Task<void> stop(std::string id, std::chrono::milliseconds timeout);
    [[nodiscard]] Task<void> kill(std::string id, int number);
    [[nodiscard]] Task<void> kill_exec(std::string id, int number);
    [[nodiscard]] Task<void> remove(std::string id, bool force);
    [[nodiscard]] Task<std::vector<PortSpec>> add_ports(std::string id, std::string spec);
    [[nodiscard]] Task<std::vector<PortSpec>> remove_ports(std::string id, std::string spec);
    [[nodiscard]] Task<PortSpec> rebind_port(std::string id, std::string old_spec, std::string new_spec);
    [[nodiscard]] Task<NetworkInfo> create_network(std::string name);
    [[nodiscard]] Task<void> remove_network(std::string name);
    [[nodiscard]] Task<std::vector<NetworkInfo>> list_networks();
    [[nodiscard]] Task<NetworkInfo> inspect_network(std::string name);
    [[nodiscard]] Task<ResourceSpec> update(std::string id, ResourceChange change);
    [[nodiscard]] Task<void> pause(std::string id);
    [[nodiscard]] Task<void> unpause(std::string id);
    [[nodiscard]] Task<std::vector<ContainerFigures>> stats(std::vector<std::string> ids);
    [[nodiscard]] EventLog& events() { return events_; }
    [[nodiscard]] Task<void> shut_down(bool stop_containers);
    [[nodiscard]] Result<std::string> find(std::string_view reference) const;
    [[nodiscard]] std::vector<ContainerInfo> list(bool with_exited) const;
    [[nodiscard]] Result<ContainerInfo> inspect(const std::string& id) const;
    [[nodiscard]] Result<std::optional<IsolationInfo>> isolation(const std::string& id) const;
    [[nodiscard]] std::size_t running_count() const;

    // layers.cpp
    [[nodiscard]] Task<std::vector<ProvidedLayer>> resolve(Squishfile file, ProvideOptions options,
                                                           OnLayerProgress on_progress);
    [[nodiscard]] Task<ProvidedLayer> pull_layer(std::string name, std::string requirement,
                                                 OnLayerProgress on_progress);
    [[nodiscard]] Task<Provider::Imported> import_layer(Provider::ImportRequest request, OnLayerProgress on_progress);
    [[nodiscard]] std::vector<Engine::LayerUse> list_layers();
    [[nodiscard]] Task<Provider::Verified> verify_layer(std::string reference, OnLayerProgress on_progress);
    [[nodiscard]] Task<std::string> remove_layer(std::string reference);
    [[nodiscard]] Task<std::vector<StoredLayer>> prune_layers();
    // attach.cpp
    [[nodiscard]] Task<LayerInfo> attach_layer(std::string id, std::string name, std::string requirement,
                                               OnLayerProgress on_progress);
    [[nodiscard]] Task<LayerInfo> detach_layer(std::string id, std::string name);
    [[nodiscard]] Task<void> mount_sdks(RecordPtr record, std::vector<LayerInfo> layers);

    [[nodiscard]] std::string describe() const;

private:
    struct Exec {
        explicit Exec(const asio::any_io_executor& executor) : ended(executor) {}
        procshare::Key view = 0; // of its container
        pid_t pid = 0;
        std::optional<ExitInfo> exit;
        Latch ended;
    };

    static constexpr std::string_view kExecPrefix = "exec-"; // what tells ids of execs from those of containers

    // create.cpp
    [[nodiscard]] Result<RecordPtr> reserve(const CreateRequest& request);
    [[nodiscard]] Task<void> start(RecordPtr record, CreateRequest& request, const std::vector<ProvidedLayer>& layers);
    [[nodiscard]] Result<void> open_logs(Record& record, AttachedIo& io);
    void take_back(const RecordPtr& record); // all that a start has taken, but its name, folder and cgroup
    void undo(const RecordPtr& record);

    // limits.cpp
    [[nodiscard]] Task<void> open_limits();
    [[nodiscard]] Task<void> open_limits_once();
    [[nodiscard]] bool had_limits() const;
    [[nodiscard]] Task<limits::Driver*> need_driver();
    [[nodiscard]] Task<void> check_limits(RecordPtr record);
    // Where it is done, or goes on: to be waited for before the payload is executed.
    using Limiting = std::function<Task<void>()>;
    [[nodiscard]] Task<Limiting> make_cgroup(RecordPtr record);
    void find_cgroup(Record& record);
    [[nodiscard]] asio::awaitable<void> remove_cgroup(RecordPtr record);
    void note_oom(Record& record);
    void on_memory_event(const std::string& id);
    [[nodiscard]] Task<ResourceSpec> update_in_turn(RecordPtr record, ResourceChange change,
                                                    std::function<Result<void>()> check);
    [[nodiscard]] Task<void> thaw(RecordPtr record);

    [[nodiscard]] Task<limits::Cgroup> open_cgroup(std::string id, ResourceSpec limits);

    // show.cpp
    [[nodiscard]] Task<void> choose_view(RecordPtr record);
    void choose_cpus(Record& record);
    void show(const Record& record, pid_t pid);
    void show_exec(procshare::Key view, pid_t ended, pid_t begun); // 0: none
    void show_again(const Record& record, const std::set<pid_t>& alive);
    [[nodiscard]] std::vector<procshare::Key> views_in_use() const;
    void drop_view(Record& record);
    [[nodiscard]] Task<void> rebind_cpus(RecordPtr record);

    // ahead.cpp
    struct Ahead {
        std::string id;
        limits::Cgroup cgroup;
    };
    [[nodiscard]] std::string take_id(const CreateRequest& request);
    void schedule_ahead(std::chrono::milliseconds pause);
    [[nodiscard]] asio::awaitable<void> make_ahead();
    [[nodiscard]] asio::awaitable<void> dismiss_ahead();

    // health.cpp
    struct CheckOutcome {
        int code = 0;
        std::string output;
    };
    void begin_health(const RecordPtr& record);
    [[nodiscard]] asio::awaitable<void> watch_health(RecordPtr record, unsigned run);
    [[nodiscard]] asio::awaitable<CheckOutcome> check_health(RecordPtr record, HealthSpec spec);
    void note_health(Record& record, const HealthSpec& spec, const CheckOutcome& outcome);

    // restart.cpp
    [[nodiscard]] static Result<void> check_restart(const CreateRequest& request);
    static void keep_for_restart(Record& record, const CreateRequest& request,
                                 const std::vector<ProvidedLayer>& layers);
    [[nodiscard]] bool will_restart(const Record& record, const ExitInfo& exit) const;
    void schedule_restart(const RecordPtr& record);
    void give_up_restart(const RecordPtr& record);
    [[nodiscard]] asio::awaitable<void> restart(RecordPtr record);
    [[nodiscard]] Task<void> start_again(RecordPtr record, CreateRequest& request);

    // publish.cpp
    class Turn;
    enum class Withdraw { drain, at_once };
    [[nodiscard]] Result<void> bind_ports(Record& record, std::vector<PortSpec> ports);
    [[nodiscard]] Error name_holder(Error error, const PortSpec& port) const;
    [[nodiscard]] Result<RecordPtr> get_publishing(const std::string& id) const;
    [[nodiscard]] Task<void> publish(RecordPtr record);
    [[nodiscard]] Task<void> publish_one(RecordPtr record, PortSpec port);
    [[nodiscard]] asio::awaitable<void> remove_from(RecordPtr record, std::vector<PortSpec> ports, Withdraw how);
    [[nodiscard]] asio::awaitable<void> withdraw(RecordPtr record, std::vector<PortSpec> ports, Withdraw how);
    [[nodiscard]] asio::awaitable<void> republish();
    [[nodiscard]] asio::awaitable<void> adopt_descriptors(RecordPtr record);

    // networks.cpp
    [[nodiscard]] Result<std::vector<NamedNetwork>> networks_of(const Squishfile& file) const;
    void take_place(Record& record, NetworkSlot slot) const;
    [[nodiscard]] Task<void> add_names(RecordPtr record);
    [[nodiscard]] asio::awaitable<void> remove_names(RecordPtr record);
    [[nodiscard]] wire::Json hosts_of(std::uint32_t network) const;
    [[nodiscard]] std::vector<NetworkInfo::Member> members_of(std::uint32_t network) const;
    [[nodiscard]] std::vector<std::uint32_t> networks_in_use() const;
    [[nodiscard]] Task<std::vector<NetworkInfo>> describe(std::vector<NamedNetwork> networks);

    // lifecycle.cpp
    void on_exited(const std::string& id, int wait_status);
    [[nodiscard]] ExitInfo explain_exit(Record& record, int wait_status);
    void finish(RecordPtr record, ExitInfo exit); // by value: the table's own reference may go
    [[nodiscard]] asio::awaitable<void> clean_up(RecordPtr record);
    [[nodiscard]] asio::awaitable<void> leave_network(RecordPtr record, std::chrono::milliseconds linger);
    void forget_record(const RecordPtr& record);
    [[nodiscard]] Result<RecordPtr> get(const std::string& id) const;
    void remember_end(const std::string& id, const ExitInfo& exit);
    void save_quietly(const Record& record);

    // recover.cpp
    void load_records();
    void on_connected(std::vector<KeptContainer> kept);
    void on_exec_kept(const KeptContainer& kept);
    void on_keeper_lost();

    // security.cpp
    [[nodiscard]] Result<void> choose_filter(Record& record, const SecuritySpec& security);
    // Whose ids the container gets, so far as its plan and streams say.
    [[nodiscard]] Result<void> choose_ids(Record& record, const plan::ContainerPlan& plan,
                                          const CreateRequest& request);
    // A cell of that kind, with ids of its own if these were chosen; where none are left, with the user's, which the
    // record then says, or an error where the squishfile insists.
    [[nodiscard]] Task<PreparedCell> take_cell(RecordPtr record, CellKind kind);
    [[nodiscard]] Result<seccomp::FilterPtr> filter_of(Record& record);
    void forget_filters();

    // layers.cpp
    [[nodiscard]] Result<void> open_store();
    [[nodiscard]] Provider::Machine provider_machine() const;
    [[nodiscard]] std::vector<std::string> users_of(const std::string& digest) const;

    asio::any_io_executor executor_;
    UniqueFd lock_;
    Paths paths_;
    EngineConfig config_;
    plan::Machine machine_;
    seccomp::Filters filters_;
    std::map<std::string, RecordPtr> records_;
    std::map<std::string, std::string> names_; // name → id
    std::map<std::string, std::shared_ptr<Exec>> execs_;
    std::set<std::string> starting_;        // ids whose start is under way in this process
    std::map<std::string, int> early_ends_; // of execs and containers that ended before their start was answered
    std::deque<std::pair<std::string, ExitInfo>> recent_ends_; // of removed ones, for late waiters
    EventLog events_;
    OomWatch oom_watch_;
    std::unique_ptr<limits::Driver> driver_;           // null until a container with limits was asked for
    std::shared_ptr<Latch> driver_gate_;               // while it is opened
    pid_t adopted_keeper_ = 0;                         // that is in the driver's subtree
    std::optional<Ahead> ahead_;                       // for the next container with limits
    std::map<std::string, limits::Cgroup> made_ahead_; // taken, by ids of starts under way
    bool making_ahead_ = false;
    asio::steady_timer ahead_pause_; // until it is made, or dismissed
    std::unique_ptr<Ground> ground_;
    std::optional<NamedNetworks> networks_;
    std::set<std::uint32_t> networks_leaving_; // that are being removed
    std::unique_ptr<Store> store_;
    std::unique_ptr<Provider> provider_;
    std::map<std::string, int> layers_in_hand_; // digests of starts under way, which nobody may remove
    bool shutting_down_ = false;
};

} // namespace squish
