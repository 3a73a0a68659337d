// Engine::Impl: the engine's state and its coroutines, over several files by concern:
//   create.cpp (start a container), exec.cpp, lifecycle.cpp (end, stop, remove), publish.cpp (ports), networks.cpp,
//   recover.cpp (after a restart), engine.cpp (the rest)
#pragma once

#include "engine/ground.h"
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
        std::optional<ExitInfo> exit;
        Latch ended;
    };

    static constexpr std::string_view kExecPrefix = "exec-"; // what tells ids of execs from those of containers

    // create.cpp
    [[nodiscard]] Result<RecordPtr> reserve(const CreateRequest& request);
    [[nodiscard]] Task<void> start(RecordPtr record, CreateRequest& request, const std::vector<ProvidedLayer>& layers);
    [[nodiscard]] Result<void> open_logs(Record& record, AttachedIo& io);
    void undo(const RecordPtr& record);

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
    std::unique_ptr<Ground> ground_;
    std::optional<NamedNetworks> networks_;
    std::set<std::uint32_t> networks_leaving_; // that are being removed
    std::unique_ptr<Store> store_;
    std::unique_ptr<Provider> provider_;
    std::map<std::string, int> layers_in_hand_; // digests of starts under way, which nobody may remove
    bool shutting_down_ = false;
};

} // namespace squish
