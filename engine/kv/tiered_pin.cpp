#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "kv/tiered_kv.h"

namespace carrel {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

void TieredKv::want(std::uint32_t layer, const Chosen& chosen, std::vector<Wanted>& wanted) const {
    wanted.clear();
    std::uint32_t lastHead = UINT32_MAX, done = 0;
    chosen.each([&](std::uint32_t head, std::uint32_t leaf, std::uint16_t) {
        if (head == lastHead && leaf < done) return;
        const Chunker::Span chunk = chunker_.together(std::size_t{layer} * shape_.kvHeads + head, leaf);
        lastHead = head;
        done = chunk.first + chunk.leaves;
        const std::size_t before = wanted.size();
        bool missing = false;
        for (std::uint32_t i = chunk.first; i < done; ++i)
            if (!device_.has(leafIndex(layer, head, i))) {
                wanted.push_back({head, i, chosen.tokens(head, i) != 0});
                missing = missing || wanted.back().chosen;
            }
        if (!missing) wanted.resize(before);
    });
}

// Reading what lies between is cheaper than a read more.
bool TieredKv::bridges(std::uint32_t layer, std::uint32_t head, std::uint32_t from, std::uint32_t to) const {
    const ChunkCosts costs(shape_.groupBytes(codec_));
    if (to < from || (to - from) * costs.group > costs.read) return false;
    for (std::uint32_t group = from; group < to; ++group)
        if (flights_->has(layer, head, group)) return false;
    return true;
}

void TieredKv::read(std::uint32_t layer, const std::vector<Wanted>& wanted, bool guess) {
    std::uint32_t head = 0, first = 0, count = 0;
    const auto flush = [&] {
        if (count > 0) flights_->submit(layer, head, first, count, guess);
        count = 0;
    };
    for (const Wanted& each : wanted) {
        const std::uint32_t group = each.group();
        if (count > 0 && each.head == head && group == first + count - 1) continue;
        if (host_.has(groupIndex(layer, each.head, group))) continue;
        if (flights_->has(layer, each.head, group)) {
            if (!guess) flights_->need(flights_->of(layer, each.head, group));
            continue;
        }
        if (count > 0 && each.head == head && bridges(layer, head, first + count, group)) {
            count = group - first + 1;
            continue;
        }
        flush();
        head = each.head;
        first = group;
        count = 1;
    }
    flush();
}

void TieredKv::prefetch(std::uint32_t layer, View<const std::uint16_t, 3> chosen) {
    if (!options_.pipeline || !landed()) return;
    leaveWindows();
    flights_->poll();
    ahead_.unite(chosen, groups_ * kGroupLeaves);
    want(layer, ahead_, guessed_);
    read(layer, guessed_, true);
    for (const Wanted& each : guessed_) {
        if (!each.chosen || !flights_->has(layer, each.head, each.group())) continue;
        std::uint8_t& bits = predicted_[groupIndex(layer, each.head, each.group())];
        const auto bit = static_cast<std::uint8_t>(1u << each.leaf % kGroupLeaves);
        counters_.prefetched += (bits & bit) == 0 ? 1 : 0;
        bits |= bit;
    }
    if (options_.ownDevice) unpackAhead(layer);
}

// What a layer to come will likely choose and host has goes to the device while this layer computes.
void TieredKv::unpackAhead(std::uint32_t layer) {
    unpack_.clear();
    for (const Wanted& each : guessed_) {
        const std::uint32_t index = leafIndex(layer, each.head, each.leaf),
                            group = groupIndex(layer, each.head, each.group());
        if (!each.chosen || !host_.has(group) || device_.has(index)) continue;
        std::byte* const rows = guessed(index);
        if (rows == nullptr) break;
        host_.touch(group);
        counters_.host.bytesRead += shape_.groupBytes(codec_) / kGroupLeaves;
        ++counters_.prefetched;
        unpackInto(rows, layer, each.head, each.leaf, host_.at(group));
    }
    unpackNow();
}

// A place for what was guessed: free, or of what goes first anyway. Null where there is none.
std::byte* TieredKv::guessed(std::uint32_t index) {
    if (spare_ == 0) return nullptr;
    if (device_.freeSlots() == 0) {
        const auto oldest = device_.oldest();
        if (!oldest || device_.standing(*oldest) == Standing::Used) return nullptr;
        device_.erase(*oldest);
    }
    --spare_;
    std::byte* const rows = device_.insert(index, Standing::Guess);
    device_.pin(index);  // or the slot might be given away twice
    return rows;
}

// Of the leaves chosen, those that are there stay; the rest and their chunks are wanted. How many are chosen.
std::size_t TieredKv::sort(std::uint32_t layer) {
    std::size_t count = 0;
    device_.begin(layer);
    host_.begin(layer);
    want(layer, chosen_, wanted_);
    chosen_.each([&](std::uint32_t head, std::uint32_t leaf, std::uint16_t tokens) {
        ++count;
        counters_.device.bytesRead += attendedBytes(shape_.headDim, static_cast<std::uint64_t>(std::popcount(tokens)));
        const std::size_t row = std::size_t{layer} * shape_.kvHeads + head;
        const std::uint32_t index = leafIndex(layer, head, leaf);
        if (device_.has(index)) {
            ++counters_.device.hits;
            chunker_.read(row, leaf, Tier::Device);
            counters_.prefetchedUsed += device_.standing(index) == Standing::Guess ? 1 : 0;
            device_.pin(index);
        } else {
            ++counters_.device.misses;
            const bool inHost = host_.has(groupIndex(layer, head, leaf / kGroupLeaves));
            ++(inHost ? counters_.host.hits : counters_.host.misses);
            chunker_.read(row, leaf, inHost ? Tier::Host : Tier::Disk);
            counters_.disk.misses += inHost ? 0 : 1;  // until it turns out to be there in time
        }
    });
    std::uint32_t lastHead = UINT32_MAX, done = 0;
    chosen_.each([&](std::uint32_t head, std::uint32_t leaf, std::uint16_t) {
        if (head == lastHead && leaf < done) return;
        const Chunker::Span chunk = chunker_.together(std::size_t{layer} * shape_.kvHeads + head, leaf);
        lastHead = head;
        done = chunk.first + chunk.leaves;
        for (std::uint32_t i = chunk.first; i < done; ++i)
            if (const std::uint32_t index = leafIndex(layer, head, i); device_.has(index)) device_.touch(index);
    });
    return count;
}

// Every chosen leaf that is not there gets its slot.
void TieredKv::reserve(std::uint32_t layer) {
    late_.resize(std::size_t{shape_.kvHeads} * groups_ * kGroupLeaves);
    for (const Wanted& each : wanted_) {
        if (!each.chosen) continue;
        makeRoom();
        const std::size_t row = std::size_t{layer} * shape_.kvHeads + each.head;
        const std::uint32_t index = leafIndex(layer, each.head, each.leaf);
        device_.insert(index, chunker_.passing(row, each.leaf) ? Standing::Passing : Standing::Used);
        device_.pin(index);
        late_[std::size_t{each.head} * groups_ * kGroupLeaves + each.leaf] = 1;
        ++lateLeaves_;
    }
}

// Starts what is not on its way, and waits for what is chosen.
Status TieredKv::arrive(std::uint32_t layer) {
    read(layer, wanted_, false);
    for (const Wanted& each : wanted_) {
        if (!each.chosen || host_.has(groupIndex(layer, each.head, each.group())) ||
            !flights_->has(layer, each.head, each.group()))
            continue;
        Flights::Flight& flight = flights_->of(layer, each.head, each.group());
        flights_->need(flight);
        if (flight.done && flight.good) continue;
        const Clock::time_point start = Clock::now();
        flights_->wait(flight);
        const std::uint32_t good = flight.good ? flight.count : flights_->repair(flight);
        counters_.disk.stallS += since(start);
        if (good < flight.count) return refuse(layer, flight.head, flight.first + good);
    }
    return {};
}

// A slot of the device tier is free afterwards, or all that is there is pinned.
bool TieredKv::makeRoom() {
    if (device_.freeSlots() > 0) return true;
    const auto oldest = device_.oldest();
    if (!oldest) return false;
    const std::uint32_t perRow = capacity_ * kGroupLeaves;
    const Chunker::Span chunk = device_.standing(*oldest) != Standing::Used
                                    ? Chunker::Span{*oldest % perRow, 1}
                                    : chunker_.together(*oldest / perRow, *oldest % perRow);
    for (std::uint32_t i = 0; i < chunk.leaves; ++i) {
        const std::uint32_t index = *oldest / perRow * perRow + chunk.first + i;
        if (device_.has(index) && !device_.isPinned(index)) device_.erase(index);
    }
    return true;
}

void TieredKv::unpackInto(std::byte* rows, std::uint32_t layer, std::uint32_t head, std::uint32_t leaf,
                          const std::byte* payload) {
    const std::size_t row = std::size_t{layer} * shape_.kvHeads + head;
    unpack_.push_back(packedLeaf(codec_, shape_.headDim, payload, sketch_.codes(row, leaf / kGroupLeaves),
                                 leaf % kGroupLeaves, rows));
}

// Wanted leaves that are at hand are unpacked into their slots, and the rest stays wanted. Others of their chunks take
// slots that no chosen leaf of these pins needs, and are pinned too, or a slot might be given away twice.
void TieredKv::place(std::uint32_t layer) {
    std::size_t left = 0;
    for (const Wanted& each : wanted_) {
        const std::uint32_t group = groupIndex(layer, each.head, each.group());
        const bool inHost = host_.has(group);
        if (!inHost && !flights_->arrived(layer, each.head, each.group())) {
            if (each.chosen || flights_->has(layer, each.head, each.group())) wanted_[left++] = each;
            continue;
        }
        const std::uint32_t index = leafIndex(layer, each.head, each.leaf);
        if (each.chosen) {
            std::uint8_t& late = late_[std::size_t{each.head} * groups_ * kGroupLeaves + each.leaf];
            lateLeaves_ -= std::exchange(late, std::uint8_t{0});
        } else {
            if (spare_ == 0 || device_.has(index) || !makeRoom()) continue;
            --spare_;
            const std::size_t row = std::size_t{layer} * shape_.kvHeads + each.head;
            device_.insert(index, chunker_.passing(row, each.leaf) ? Standing::Passing : Standing::Used);
            device_.pin(index);
        }
        if (inHost) {
            host_.touch(group);
            counters_.host.bytesRead += shape_.groupBytes(codec_) / kGroupLeaves;
        }
        const auto bit = static_cast<std::uint8_t>(1u << each.leaf % kGroupLeaves);
        if (each.chosen && (predicted_[group] & bit) != 0) ++counters_.prefetchedUsed;
        predicted_[group] &= static_cast<std::uint8_t>(~bit);
        unpackInto(device_.at(index), layer, each.head, each.leaf,
                   inHost ? host_.at(group) : flights_->payload(layer, each.head, each.group()));
    }
    wanted_.resize(left);
}

// What was read ahead and not chosen: into slots that are free or hold what goes first anyway.
void TieredKv::placeGuesses(std::uint32_t layer) {
    flights_->eachArrived(layer, [&](const Flights::Flight& flight) {
        for (std::uint32_t group = flight.first; group < flight.first + flight.count; ++group)
            for (std::uint32_t i = 0; i < kGroupLeaves; ++i) {
                const std::uint32_t leaf = group * kGroupLeaves + i, index = leafIndex(layer, flight.head, leaf);
                if ((predicted_[groupIndex(layer, flight.head, group)] >> i & 1) == 0 || device_.has(index)) continue;
                std::byte* const rows = guessed(index);
                if (rows == nullptr) return;
                unpackInto(rows, layer, flight.head, leaf, flights_->payload(layer, flight.head, group));
            }
    });
}

// What has arrived for a layer goes to the host tier, and its staging is free.
void TieredKv::land(std::uint32_t layer) {
    flights_->eachArrived(layer, [&](const Flights::Flight& flight) {
        for (std::uint32_t group = flight.first; group < flight.first + flight.count; ++group) {
            const std::uint32_t index = groupIndex(layer, flight.head, group);
            predicted_[index] = 0;
            if (host_.has(index)) continue;
            if (host_.freeSlots() == 0) {
                bool asked = flight.guess;  // or else it may only lie between two that are
                for (std::uint32_t i = 0; i < kGroupLeaves; ++i)
                    asked = asked || chosen_.tokens(flight.head, group * kGroupLeaves + i) != 0;
                const auto oldest = host_.oldest();
                if (!asked || !oldest || (flight.guess && host_.standing(*oldest) != Standing::Guess)) continue;
                host_.erase(*oldest);
            }
            std::memcpy(host_.insert(index, flight.guess ? Standing::Guess : Standing::Used),
                        flights_->payload(layer, flight.head, group), shape_.groupBytes(codec_));
        }
    });
    flights_->release(layer);
    hostPeak_ = std::max(hostPeak_, hostUsed());
    devicePeak_ = std::max(devicePeak_, deviceUsed());
}

void TieredKv::take(std::uint32_t layer) {
    unpack_.clear();
    place(layer);
    if (lateLeaves_ == 0) placeGuesses(layer);
    unpackNow();
    landing_ = layer;
}

void TieredKv::unpackNow() {
    if (unpack_.empty()) return;
    const Clock::time_point start = Clock::now();
    backend_.unpack(codec_, shape_.headDim, unpack_);
    unpacked_ = backend_.record();
    counters_.host.stallS += since(start);
}

// Comes before staging is read into again, and before slots of the host tier change hands.
Status TieredKv::landed() {
    const Clock::time_point start = Clock::now();
    if (auto done = backend_.wait(unpacked_); !done) return done;
    counters_.host.stallS += since(start);
    if (landing_) land(*landing_);
    landing_.reset();
    return {};
}

void TieredKv::countInTime(std::uint32_t layer) {
    for (const Wanted& each : wanted_) {
        if (!each.chosen || host_.has(groupIndex(layer, each.head, each.group())) ||
            !flights_->arrived(layer, each.head, each.group()))
            continue;
        ++counters_.disk.hits;
        --counters_.disk.misses;
    }
}

Result<KvPins> TieredKv::claim(std::uint32_t layer, View<const std::uint16_t, 3> chosen) {
    assert(!pinned_ && codec_ != KvCodec::F16);
    if (auto done = landed(); !done) return done.error();
    leaveWindows();
    flights_->poll();
    chosen_.unite(chosen, groups_ * kGroupLeaves);
    const std::size_t count = sort(layer);
    if (count > device_.slots())
        return Error{Code::NoMemory, "device tier",
                     std::to_string(count) + " leaves of layer " + std::to_string(layer) +
                         " were chosen and it holds " + std::to_string(device_.slots())};
    spare_ = device_.slots() - count;
    reserve(layer);
    read(layer, wanted_, false);
    countInTime(layer);
    take(layer);
    chunker_.choose(layer, chosen_);
    pinned_ = true;
    KvPins pins = pinned(layer);
    if (!options_.pipeline)
        if (auto done = complete(layer); !done) return done.error();
    return pins;
}

Status TieredKv::complete(std::uint32_t layer) {
    if (lateLeaves_ > 0) flights_->poll();
    countInTime(layer);
    while (lateLeaves_ > 0) {
        if (auto done = landed(); !done) return done;
        if (auto arrived = arrive(layer); !arrived) return arrived.error();
        const std::size_t before = lateLeaves_;
        take(layer);
        if (lateLeaves_ < before) continue;
        // Staging is full of what is not chosen: others of the chunks, or what was read ahead.
        std::erase_if(wanted_, [](const Wanted& each) { return !each.chosen; });
        flights_->dropOne();
    }
    wanted_.clear();
    return {};
}

const std::byte* TieredKv::rows(std::uint32_t layer, std::uint32_t head, std::uint32_t leaf) const {
    return chosen_.tokens(head, leaf) == 0 ? nullptr : device_.at(leafIndex(layer, head, leaf));
}

void TieredKv::unpin(std::uint32_t layer) {
    static_cast<void>(static_cast<bool>(landed()));  // what a device says now it says again at the pass's end
    for (const Wanted& each : wanted_)               // never came: pins that failed or were given up
        if (each.chosen) device_.erase(leafIndex(layer, each.head, each.leaf));
    wanted_.clear();
    if (std::exchange(lateLeaves_, 0) > 0) std::ranges::fill(late_, std::uint8_t{0});
    pinned_ = false;
    if (!options_.reuse) device_.eraseAll();
}

}  // namespace carrel
