// Layers that come and go while their container runs.
//
// How this works
//   Everything below /sdk is one tree of mounts that the stager puts together anew: a folder with all layers that are
//   to be there. A process that joins the container's namespaces covers /sdk with it, by one move_mount(2): whoever
//   looks sees the old layers or the new ones. What is open in an old one stays usable; the mounts beneath go with the
//   container.

#include "engine/explain.h"
#include "engine/impl.h"
#include "engine/layers.h"

#include "base/text.h"
#include "os/file.h"
#include "plan/launch_plan.h"

#include <algorithm>

namespace squish {

using wire::Json;

namespace {

constexpr const char* kAttached = "attached";
constexpr std::size_t kMostChanges = 32; // mounts over one another at /sdk

bool is_sdk(const LayerInfo& layer) {
    return layer.target == std::string(plan::kSdkFolder) + "/" + layer.name;
}

bool was_attached(const LayerInfo& layer) {
    return std::ranges::find(layer.why, kAttached) != layer.why.end();
}

} // namespace

// Covers /sdk with those of `layers` that belong there.
Task<void> Engine::Impl::mount_sdks(RecordPtr record, std::vector<LayerInfo> layers) {
    if (record->changes == kMostChanges)
        co_return fail(ErrorKind::conflict,
                       "the layers of container '" + record->info.name + "' were changed " +
                           std::to_string(kMostChanges) + " times, and each change is a mount",
                       "start it anew");
    CO_TRY(co_await ground_->need_stager());
    auto request = wire::to_request("sdks");
    auto& mounts = request["mounts"] = Json::array();
    for (const auto& layer : layers) {
        if (!is_sdk(layer))
            continue;
        Json one = Json::object();
        one["source"] = layer.path;
        one["name"] = layer.name;
        one["label"] = "layer '" + layer.name + "'";
        mounts.push_back(std::move(one));
    }
    CO_TRY_TO(auto staged, co_await ground_->stager()->ask(std::move(request)));
    if (staged.fds.size() != 1)
        co_return fail(ErrorKind::unavailable, "malformed answer of squish-stager");
    const auto steps = plan::make_attach(plan::kSdkFolder);
    CO_TRY_TO(const auto bytes, steps.bytes());
    CO_TRY_TO(const auto memfd, os::sealed_memfd("squish-attach", bytes, false));
    const auto exec_id = std::string(kExecPrefix) + random_hex(8);
    auto exec = std::make_shared<Exec>(executor_);
    execs_[exec_id] = exec;
    std::vector<int> fds;
    fds.push_back(memfd.get());
    fds.push_back(staged.fds.front().get());
    KeeperClient::FailedStep failed;
    Result<Launched> launched = fail(ErrorKind::unavailable, "the keeper is gone", "try again");
    if (auto* keeper = ground_->keeper())
        launched = co_await keeper->exec(record->info.id, exec_id, std::move(fds), failed);
    if (!launched) {
        execs_.erase(exec_id);
        if (!failed.happened)
            co_return std::unexpected(std::move(launched).error());
        co_return std::unexpected(explain_step(
            failed.step < steps.size() ? steps.descriptions()[failed.step] : "join the container", failed.error));
    }
    co_await exec->ended.wait();
    ++record->changes;
    co_return Result<void>{};
}

Task<LayerInfo> Engine::Impl::attach_layer(std::string id, std::string name, std::string requirement,
                                           OnLayerProgress on_progress) {
    CO_TRY_TO(const auto record, get(id));
    if (!is_alive(record->info.state))
        co_return fail(ErrorKind::conflict, "container '" + record->info.name + "' does not run");
    const auto has = [&](const std::string& other) {
        return std::ranges::find(record->info.layers, other, &LayerInfo::name) != record->info.layers.end();
    };
    if (has(name))
        co_return fail(ErrorKind::conflict,
                       "container '" + record->info.name + "' has a layer '" + printable(name) + "' already",
                       "detach it first, if it was attached: squish layer detach " + record->info.name + " " + name);
    Squishfile file;
    LayerSpec wanted;
    wanted.name = name;
    wanted.source = LayerSpec::Source::version;
    wanted.version = std::move(requirement);
    file.layers.push_back(std::move(wanted));
    ProvideOptions options;
    CO_TRY_TO(const auto provided, co_await resolve(std::move(file), std::move(options), std::move(on_progress)));
    auto layers = record->info.layers;
    LayerInfo attached;
    for (const auto& layer : provided) {
        if (layer.rootfs || has(layer.name)) // a rootfs that it requires: the container has one
            continue;
        auto info = to_info(layer);
        info.why.emplace_back(kAttached);
        if (!is_sdk(info))
            co_return fail(ErrorKind::unsupported, "layer '" + printable(layer.name) + "' has no place at /sdk");
        if (info.name == name)
            attached = info;
        layers.push_back(std::move(info));
    }
    if (attached.name.empty())
        co_return fail(ErrorKind::invalid, "layer '" + printable(name) + "' is a rootfs and cannot be attached");
    CO_TRY(co_await mount_sdks(record, layers));
    record->info.layers = std::move(layers);
    save_quietly(*record);
    co_return attached;
}

Task<LayerInfo> Engine::Impl::detach_layer(std::string id, std::string name) {
    CO_TRY_TO(const auto record, get(id));
    if (!is_alive(record->info.state))
        co_return fail(ErrorKind::conflict, "container '" + record->info.name + "' does not run");
    auto layers = record->info.layers;
    const auto found = std::ranges::find(layers, name, &LayerInfo::name);
    if (found == layers.end())
        co_return fail(ErrorKind::not_found,
                       "container '" + record->info.name + "' has no layer '" + printable(name) + "'");
    if (!was_attached(*found))
        co_return fail(ErrorKind::conflict, "layer '" + printable(name) + "' belongs to the squishfile of container '" +
                                                record->info.name + "' and stays");
    const auto detached = *found;
    layers.erase(found);
    CO_TRY(co_await mount_sdks(record, layers));
    record->info.layers = std::move(layers);
    save_quietly(*record);
    co_return detached;
}

} // namespace squish
