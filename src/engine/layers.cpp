// Layers: the store of this user, what containers use of it, and the requests about it.
#include "engine/layers.h"

#include "base/text.h"
#include "engine/impl.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <sys/utsname.h>

namespace squish {

namespace {

// "@ROOT@" in a layer's variable is where the layer is mounted.
std::string with_root(std::string text, const std::string& root) {
    constexpr std::string_view kRoot = "@ROOT@";
    for (auto at = text.find(kRoot); at != std::string::npos; at = text.find(kRoot, at + root.size()))
        text.replace(at, kRoot.size(), root);
    return text;
}

} // namespace

plan::Layer to_plan(const ProvidedLayer& layer) {
    plan::Layer out;
    out.name = layer.name;
    out.path = layer.path;
    out.target = layer.target;
    out.read_write = layer.read_write;
    out.rootfs = layer.rootfs;
    out.closed = layer.closed;
    const auto root = layer.rootfs ? std::string() : layer.target;
    out.in_path = layer.origin == ProvidedLayer::Origin::version && layer.has_bin && !layer.rootfs;
    if (!layer.manifest)
        return out;
    for (const auto& [key, value] : layer.manifest->env)
        out.env.emplace_back(key, with_root(value, root));
    if (const auto& run = layer.manifest->run) {
        plan::Layer::Command command;
        command.command = root + "/" + run->command;
        command.args = run->args;
        command.entry = run->entry;
        out.command = std::move(command);
    }
    return out;
}

LayerInfo to_info(const ProvidedLayer& layer) {
    LayerInfo info;
    info.name = layer.name;
    info.origin = to_string(layer.origin);
    info.asked = layer.asked;
    info.version = layer.version;
    info.digest = layer.digest;
    info.source = layer.source;
    info.target = layer.target;
    info.path = layer.path;
    info.why = layer.why;
    info.notes = layer.notes;
    return info;
}

Result<void> Engine::Impl::open_store() {
    store_ = std::make_unique<Store>(TRY(Store::open(paths_.data)));
    provider_ = std::make_unique<Provider>(executor_, *store_, config_.layers, paths_.libexec + "/squish-fetch",
                                           [this] { return ground_->connect_layers(); });
    // What was left half-done: in the background, a start need not wait for it.
    if (!store_->abandoned().empty())
        asio::co_spawn(
            executor_, [this]() -> asio::awaitable<void> { (void) co_await provider_->clean_up(); }, asio::detached);
    return {};
}

Provider::Machine Engine::Impl::provider_machine() const {
    utsname system{};
    ::uname(&system);
    return {.arch = system.machine, .base_rootfs = machine_.base_rootfs, .base_version = machine_.base_version};
}

Task<std::vector<ProvidedLayer>> Engine::Impl::resolve(Squishfile file, ProvideOptions options,
                                                       OnLayerProgress on_progress) {
    return provider_->provide(std::move(file), provider_machine(), std::move(options), std::move(on_progress));
}

Task<ProvidedLayer> Engine::Impl::pull_layer(std::string name, std::string requirement, OnLayerProgress on_progress) {
    return provider_->pull(std::move(name), std::move(requirement), provider_machine(), std::move(on_progress));
}

Task<Provider::Imported> Engine::Impl::import_layer(Provider::ImportRequest request, OnLayerProgress on_progress) {
    return provider_->import(std::move(request), std::move(on_progress));
}

std::vector<std::string> Engine::Impl::users_of(const std::string& digest) const {
    std::vector<std::string> users;
    for (const auto& [id, record] : records_)
        if (std::ranges::any_of(record->info.layers, [&](const LayerInfo& layer) { return layer.digest == digest; }))
            users.push_back(record->info.name);
    return users;
}

std::vector<Engine::LayerUse> Engine::Impl::list_layers() {
    std::vector<Engine::LayerUse> out;
    const auto refs = store_->refs();
    for (auto& layer : store_->list()) {
        Engine::LayerUse use;
        for (const auto& ref : refs)
            if (ref.digest == layer.digest)
                use.refs.push_back(ref);
        use.containers = users_of(layer.digest);
        use.layer = std::move(layer);
        out.push_back(std::move(use));
    }
    return out;
}

Task<Provider::Verified> Engine::Impl::verify_layer(std::string reference, OnLayerProgress on_progress) {
    CO_TRY_TO(auto digest, provider_->find(reference));
    co_return co_await provider_->verify(std::move(digest), std::move(on_progress));
}

Task<std::string> Engine::Impl::remove_layer(std::string reference) {
    CO_TRY_TO(auto digest, provider_->find(reference));
    if (const auto users = users_of(digest); !users.empty())
        co_return fail(ErrorKind::conflict,
                       "layer '" + printable(reference) + "' is used by " +
                           (users.size() == 1 ? "container " : "containers ") + join(users, ", "),
                       "remove them first: squish rm -f " + join(users, " "));
    if (layers_in_hand_.contains(digest))
        co_return fail(ErrorKind::conflict, "layer '" + printable(reference) + "' is about to be used by a container",
                       "try again");
    CO_TRY(co_await provider_->remove(digest));
    co_return digest;
}

Task<std::vector<StoredLayer>> Engine::Impl::prune_layers() {
    std::vector<StoredLayer> removed;
    for (auto& layer : store_->list()) {
        if (!users_of(layer.digest).empty() || layers_in_hand_.contains(layer.digest))
            continue;
        CO_TRY(co_await provider_->remove(layer.digest));
        removed.push_back(std::move(layer));
    }
    co_return removed;
}

} // namespace squish
