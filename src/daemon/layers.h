// What the routes need of the engine's layers, so that they can be tested without a store.
#pragma once

#include "engine/engine.h"

namespace squish::daemon {

class Layers {
public:
    virtual ~Layers() = default;
    [[nodiscard]] virtual Task<std::vector<ProvidedLayer>> resolve(Squishfile file, ProvideOptions options,
                                                                   OnLayerProgress on_progress) = 0;
    [[nodiscard]] virtual Task<ProvidedLayer> pull(std::string name, std::string requirement,
                                                   OnLayerProgress on_progress) = 0;
    [[nodiscard]] virtual Task<Provider::Imported> import(Provider::ImportRequest request,
                                                          OnLayerProgress on_progress) = 0;
    [[nodiscard]] virtual std::vector<Engine::LayerUse> list() = 0;
    [[nodiscard]] virtual Task<Provider::Verified> verify(std::string reference, OnLayerProgress on_progress) = 0;
    [[nodiscard]] virtual Task<std::string> remove(std::string reference) = 0;
    [[nodiscard]] virtual Task<std::vector<StoredLayer>> prune() = 0;
    // In a container that runs.
    [[nodiscard]] virtual Task<LayerInfo> attach(std::string id, std::string name, std::string requirement,
                                                 OnLayerProgress on_progress) = 0;
    [[nodiscard]] virtual Task<LayerInfo> detach(std::string id, std::string name) = 0;
};

} // namespace squish::daemon
