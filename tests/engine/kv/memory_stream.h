#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "store/reading_store.h"

namespace carrel {

/// A stream in memory. Its reader completes out of order and late, and fails where it is told to.
class MemoryStream final : public KvStream {
  public:
    using Place = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;  // layer, head, group
    struct Batch {
        std::uint32_t first = 0, tokens = 0;
        std::vector<std::byte> payload, codes;
        std::vector<std::byte> means;  // what the encoder gave; never stored
        std::uint32_t groups(KvCodec codec) const {
            return (tokens + (codec == KvCodec::F16 ? kGroupTokens - 1 : 0)) / kGroupTokens;
        }
    };
    MemoryStream(KvShape shape, KvCodec codec) : shape_(shape), codec_(codec) {}

    std::uint32_t tokens() const override { return tokens_; }
    const std::vector<std::int32_t>& ids() const override { return ids_; }
    std::uint32_t firstToken() const override { return 0; }
    DiskBytes diskBytes() const override {
        DiskBytes bytes;
        for (const Batch& batch : batches) bytes.keysValues += batch.payload.size();
        return bytes;
    }
    Status commit(const KvBatch& batch) override {
        const auto copy = [](std::span<const std::byte> from) {
            return std::vector<std::byte>(from.begin(), from.end());
        };
        batches.push_back(
            {batch.first, static_cast<std::uint32_t>(batch.ids.size()), copy(batch.payload), copy(batch.codes), {}});
        tokens_ = batch.first + batches.back().tokens;
        ids_.resize(tokens_);
        return {};
    }
    Status truncate(std::uint32_t) override { return Error{Code::Internal, "", "not here"}; }
    Result<std::uint32_t> load(const KvAllocate& allocate) override {
        std::vector<std::optional<KvMemory>> memory;
        for (const Batch& batch : batches) memory.push_back(allocate(batch.first, batch.tokens));
        loads += std::ranges::any_of(memory,
                                     [](const auto& of) { return of && !(of->payload.empty() && of->codes.empty()); })
                     ? 1
                     : 0;
        for (std::size_t i = 0; i < batches.size(); ++i) {
            if (!memory[i]) return Error{Code::NoMemory, "", ""};
            const auto fill = [&](std::span<std::byte> to, const std::vector<std::byte>& from) {
                if (to.empty()) return true;
                std::vector<std::uint32_t> layers(memory[i]->layers.begin(), memory[i]->layers.end());
                for (std::uint32_t l = 0; memory[i]->layers.empty() && l < shape_.layers; ++l) layers.push_back(l);
                const std::size_t bytes = from.size() / shape_.layers;
                if (to.size() != layers.size() * bytes) return false;
                for (std::size_t l = 0; l < layers.size(); ++l) {
                    std::memcpy(to.data() + l * bytes, from.data() + layers[l] * bytes, bytes);
                    loaded[layers[l]] += bytes;
                }
                return true;
            };
            if (!fill(memory[i]->payload, batches[i].payload) || !fill(memory[i]->codes, batches[i].codes))
                return Error{Code::Internal, "load", "sizes"};
        }
        return std::min(tokens_, badFrom);
    }
    Result<std::unique_ptr<GroupReader>> reader(ReaderOptions) override {
        ++readers;
        return std::unique_ptr<GroupReader>(new Reader(*this));
    }
    Result<Check> verify() override { return Check{}; }
    Status keepNote(std::span<const std::byte>) override { return {}; }
    Result<std::vector<std::byte>> note() override { return Error{Code::NotFound, "", "no note"}; }

    /// Of the last batch that has the group.
    const std::byte* part(std::vector<std::byte> Batch::*which, const Place& place) const {
        const auto [layer, head, group] = place;
        for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
            const std::uint32_t first = batch->first / kGroupTokens, groups = batch->groups(codec_);
            if (group < first || group >= first + groups) continue;
            const std::size_t at = (std::size_t{layer} * shape_.kvHeads + head) * groups + group - first;
            const std::vector<std::byte>& bytes = (*batch).*which;
            return bytes.data() + at * (bytes.size() / (shape_.rows() * groups));
        }
        return nullptr;
    }

    std::vector<Batch> batches;
    std::uint32_t badFrom = UINT32_MAX;             // what load() finds
    std::map<Place, int> failures;                  // so many reads of a group fail
    std::map<Place, int> reads;                     // of each group
    int loads = 0, readers = 0;                     // loads that want something
    std::map<std::uint32_t, std::uint64_t> loaded;  // by them: bytes of each layer
    std::size_t mostUnderWay = 0, submits = 0;
    bool slow = false;  // nothing completes that is not waited for
    std::mt19937 random{1};

  private:
    class Reader final : public GroupReader {
      public:
        explicit Reader(MemoryStream& of) : of_(of) {}
        void submit(std::uint64_t tag, std::uint32_t layer, std::uint32_t head, std::uint32_t group,
                    std::uint32_t count, std::span<std::byte> into) override {
            const std::size_t bytes = of_.shape_.groupBytes(of_.codec_);
            if (into.size() != count * bytes) std::abort();
            waiting_.push_back({tag, layer, head, group, count, into});
            ++counters_.reads;
            ++of_.submits;
            counters_.bytesRead += into.size();
            of_.mostUnderWay = std::max(of_.mostUnderWay, waiting_.size());
        }
        std::vector<Done> reap(std::size_t atLeast) override {
            std::vector<Done> done;
            while (!waiting_.empty() && (done.size() < atLeast || (!of_.slow && of_.random() % 2 == 0))) {
                const auto at = waiting_.begin() + static_cast<std::ptrdiff_t>(of_.random() % waiting_.size());
                done.push_back({at->tag, read(*at)});
                waiting_.erase(at);
            }
            return done;
        }
        Counters counters() const override { return counters_; }
        std::uint64_t memoryBytes() const override { return 4096; }

      private:
        struct Waiting {
            std::uint64_t tag;
            std::uint32_t layer, head, group, count;
            std::span<std::byte> into;
        };
        bool read(const Waiting& each) {
            const std::size_t bytes = of_.shape_.groupBytes(of_.codec_);
            bool good = true;
            for (std::uint32_t i = 0; i < each.count; ++i) {
                const Place place{each.layer, each.head, each.group + i};
                ++of_.reads[place];
                const std::byte* from = of_.part(&Batch::payload, place);
                if (from == nullptr || of_.failures[place]-- > 0) {
                    good = false;
                    std::memset(each.into.data() + i * bytes, 0x5a, bytes);
                } else {
                    of_.failures[place] = 0;
                    std::memcpy(each.into.data() + i * bytes, from, bytes);
                }
            }
            return good;
        }
        MemoryStream& of_;
        std::vector<Waiting> waiting_;
        Counters counters_;
    };

    KvShape shape_;
    KvCodec codec_;
    std::uint32_t tokens_ = 0;
    std::vector<std::int32_t> ids_;
};

}  // namespace carrel
