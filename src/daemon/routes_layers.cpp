// /v1/layers…: the store of layers.
#include "base/text.h"
#include "daemon/body.h"
#include "daemon/progress.h"
#include "daemon/router.h"
#include "daemon/views.h"

#include <sys/utsname.h>

namespace squish::daemon {

namespace {

Json view(const Engine::LayerUse& use) {
    Json refs = Json::array();
    for (const auto& ref : use.refs)
        refs.push_back({{"name", ref.name}, {"version", ref.version}, {"source", ref.source}});
    return {{"digest", use.layer.digest},
            {"kind", use.layer.kind == StoredLayer::Kind::file ? "file" : "tree"},
            {"refs", std::move(refs)},
            {"bytes", use.layer.bytes},
            {"entries", use.layer.entries},
            {"origin", use.layer.origin},
            {"added_at", time_view(use.layer.added_at)},
            {"notes", use.layer.notes},
            {"containers", use.containers}};
}

// An answer, or the last event of a stream.
asio::awaitable<void> conclude(Exchange& exchange, bool streaming, const char* event, Json body) {
    if (!streaming) {
        co_await answer_json(exchange, 200, body);
        co_return;
    }
    Json fields = Json::object();
    fields["result"] = std::move(body);
    const auto line = event_line(event, fields);
    const bool sent = co_await exchange.chunk(line);
    if (sent)
        co_await exchange.end_stream();
}

// The same for an error; true where it has been told.
asio::awaitable<bool> conclude_failure(Exchange& exchange, bool streaming, const Error& error) {
    if (!streaming)
        co_return false;
    co_await stream_failure(exchange, error);
    co_return true;
}

// squishfile.lock: what has a digest. The user's own files and folders, and the built-in rootfs, have none.
Result<std::string> lock_text(const std::vector<ProvidedLayer>& layers) {
    catalog::Lock lock;
    utsname system{};
    ::uname(&system);
    lock.arch = system.machine;
    for (const auto& layer : layers) {
        if (layer.digest.empty())
            continue;
        catalog::LockedLayer locked;
        locked.sha256 = layer.digest;
        locked.source = layer.source;
        if (!layer.version.empty())
            locked.version = TRY(catalog::Version::parse(layer.version));
        lock.layers[layer.name] = std::move(locked);
    }
    return catalog::write_lock(lock);
}

OnLayerProgress told_to(const auto& state) {
    return [state](const LayerProgress& progress) { state->feed.tell(progress); };
}

} // namespace

Task<void> get_layers(Service& service, Exchange& exchange, Parameters) {
    Json list = Json::array();
    for (const auto& use : service.containers.layers().list())
        list.push_back(view(use));
    co_await answer_json(exchange, 200, list);
    co_return Result<void>();
}

Task<void> post_layers_resolve(Service& service, Exchange& exchange, Parameters) {
    auto request = read_resolve(exchange.request());
    if (!request)
        co_return std::unexpected(std::move(request).error());
    const auto wanted = read_progress(exchange.request().query);
    if (!wanted)
        co_return std::unexpected(wanted.error());
    bool streaming = false;
    auto task = with_progress<std::vector<ProvidedLayer>>(
        exchange, *wanted, 200, streaming, [&service, asked = *std::move(request)](auto state) mutable {
            return service.containers.layers().resolve(std::move(asked.file), std::move(asked.options), told_to(state));
        });
    const auto layers = co_await std::move(task);
    if (!layers) {
        const bool told = co_await conclude_failure(exchange, streaming, layers.error());
        if (told)
            co_return Result<void>();
        co_return std::unexpected(layers.error());
    }
    Json list = Json::array();
    for (const auto& layer : *layers)
        list.push_back(layer_view(layer));
    auto lock = lock_text(*layers);
    if (!lock)
        co_return std::unexpected(std::move(lock).error());
    Json body{{"layers", std::move(list)}, {"lock", *std::move(lock)}};
    co_await conclude(exchange, streaming, "resolved", std::move(body));
    co_return Result<void>();
}

Task<void> post_layers_pull(Service& service, Exchange& exchange, Parameters) {
    auto request = read_pull(exchange.request());
    if (!request)
        co_return std::unexpected(std::move(request).error());
    const auto wanted = read_progress(exchange.request().query);
    if (!wanted)
        co_return std::unexpected(wanted.error());
    bool streaming = false;
    auto task = with_progress<ProvidedLayer>(
        exchange, *wanted, 200, streaming, [&service, asked = *std::move(request)](auto state) mutable {
            return service.containers.layers().pull(std::move(asked.name), std::move(asked.requirement),
                                                    told_to(state));
        });
    const auto layer = co_await std::move(task);
    if (!layer) {
        const bool told = co_await conclude_failure(exchange, streaming, layer.error());
        if (told)
            co_return Result<void>();
        co_return std::unexpected(layer.error());
    }
    co_await conclude(exchange, streaming, "pulled", layer_view(*layer));
    co_return Result<void>();
}

Task<void> post_layers_import(Service& service, Exchange& exchange, Parameters) {
    auto request = read_import(exchange.request());
    if (!request)
        co_return std::unexpected(std::move(request).error());
    const auto wanted = read_progress(exchange.request().query);
    if (!wanted)
        co_return std::unexpected(wanted.error());
    bool streaming = false;
    auto task = with_progress<Provider::Imported>(
        exchange, *wanted, 200, streaming, [&service, asked = *std::move(request)](auto state) mutable {
            return service.containers.layers().import(std::move(asked), told_to(state));
        });
    const auto imported = co_await std::move(task);
    if (!imported) {
        const bool told = co_await conclude_failure(exchange, streaming, imported.error());
        if (told)
            co_return Result<void>();
        co_return std::unexpected(imported.error());
    }
    Json body{{"digest", imported->layer.digest},
              {"name", imported->name},
              {"version", imported->version},
              {"bytes", imported->layer.bytes},
              {"entries", imported->layer.entries},
              {"notes", imported->layer.notes},
              {"tree", imported->tree}};
    co_await conclude(exchange, streaming, "imported", std::move(body));
    co_return Result<void>();
}

Task<void> post_container_layers(Service& service, Exchange& exchange, Parameters parameters) {
    auto request = read_pull(exchange.request());
    if (!request)
        co_return std::unexpected(std::move(request).error());
    const auto wanted = read_progress(exchange.request().query);
    if (!wanted)
        co_return std::unexpected(wanted.error());
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    bool streaming = false;
    auto task = with_progress<LayerInfo>(
        exchange, *wanted, 200, streaming, [&service, id = *id, asked = *std::move(request)](auto state) mutable {
            return service.containers.layers().attach(id, std::move(asked.name), std::move(asked.requirement),
                                                      told_to(state));
        });
    const auto layer = co_await std::move(task);
    if (!layer) {
        const bool told = co_await conclude_failure(exchange, streaming, layer.error());
        if (told)
            co_return Result<void>();
        co_return std::unexpected(layer.error());
    }
    co_await conclude(exchange, streaming, "attached", layer_view(*layer));
    co_return Result<void>();
}

Task<void> delete_container_layer(Service& service, Exchange& exchange, Parameters parameters) {
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto layer = co_await service.containers.layers().detach(*id, parameters[1]);
    if (!layer)
        co_return std::unexpected(layer.error());
    co_await answer_json(exchange, 200, layer_view(*layer));
    co_return Result<void>();
}

Task<void> post_layer_verify(Service& service, Exchange& exchange, Parameters parameters) {
    const auto wanted = read_progress(exchange.request().query);
    if (!wanted)
        co_return std::unexpected(wanted.error());
    bool streaming = false;
    auto task = with_progress<Provider::Verified>(
        exchange, *wanted, 200, streaming, [&service, reference = parameters[0]](auto state) mutable {
            return service.containers.layers().verify(std::move(reference), told_to(state));
        });
    const auto verified = co_await std::move(task);
    if (!verified) {
        const bool told = co_await conclude_failure(exchange, streaming, verified.error());
        if (told)
            co_return Result<void>();
        co_return std::unexpected(verified.error());
    }
    Json body{{"digest", verified->digest},
              {"findings", verified->findings},
              {"files", verified->files},
              {"bytes", verified->bytes}};
    co_await conclude(exchange, streaming, "verified", std::move(body));
    co_return Result<void>();
}

Task<void> delete_layer(Service& service, Exchange& exchange, Parameters parameters) {
    const auto removed = co_await service.containers.layers().remove(parameters[0]);
    if (!removed)
        co_return std::unexpected(removed.error());
    Json body{{"digest", *removed}};
    co_await answer_json(exchange, 200, body);
    co_return Result<void>();
}

Task<void> post_layers_prune(Service& service, Exchange& exchange, Parameters) {
    const auto removed = co_await service.containers.layers().prune();
    if (!removed)
        co_return std::unexpected(removed.error());
    Json list = Json::array();
    for (const auto& layer : *removed) {
        Json one{{"digest", layer.digest}, {"bytes", layer.bytes}};
        list.push_back(std::move(one));
    }
    co_await answer_json(exchange, 200, list);
    co_return Result<void>();
}

} // namespace squish::daemon
