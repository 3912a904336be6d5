#include "kv/windows.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kv/chosen.h"
#include "kv/document_kv.h"
#include "kv/loading.h"

namespace carrel {

namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;  // reads larger than this gain nothing (FORMAT.md)

// Groups that are encoded are unpacked when they are asked for, and their payload is free again; f16 is attended where
// it was read to.
constexpr std::size_t payloads(KvCodec codec) {
    return codec == KvCodec::F16 ? 3 : 2;
}

double since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::uint64_t Windows::payloadBytes(KvShape shape, KvCodec codec, std::uint32_t groups) {
    return std::uint64_t{groups} * shape.kvHeads * payloads(codec) * shape.groupBytes(codec);
}
std::uint64_t Windows::unpackedBytes(KvShape shape, KvCodec codec, std::uint32_t groups) {
    return codec == KvCodec::F16 ? 0 : std::uint64_t{groups} * shape.kvHeads * kGroupLeaves * rowsBytes(shape.headDim);
}

Windows::Windows(Source source, std::byte* staging, std::byte* rows, std::uint32_t groups)
    : from_(source), staging_(staging), rows_(rows), groups_(groups), jobs_(payloads(source.codec)) {}

std::byte* Windows::payload(const Job& job, std::uint32_t head, std::uint32_t group) const {
    const auto buffer = static_cast<std::size_t>(&job - jobs_.data());
    return staging_ +
           ((buffer * from_.shape.kvHeads + head) * groups_ + group - job.first) * from_.shape.groupBytes(from_.codec);
}

bool Windows::inDevice(std::size_t row, std::uint32_t group) const {
    const auto leaf = static_cast<std::uint32_t>((row * from_.capacityGroups + group) * kGroupLeaves);
    for (std::uint32_t i = 0; i < kGroupLeaves; ++i)
        if (!from_.device.has(leaf + i)) return false;
    return true;
}

Windows::Job* Windows::find(std::uint32_t layer, std::uint32_t first, std::uint32_t count) {
    for (Job& job : jobs_)
        if (job.open && job.layer == layer && job.first == first && job.count == count) return &job;
    return nullptr;
}

void Windows::submit(Job& job, std::uint32_t head, std::uint32_t first, std::uint32_t count) {
    const std::size_t groupBytes = from_.shape.groupBytes(from_.codec);
    const auto most = static_cast<std::uint32_t>(std::max<std::size_t>(1, kReadBytes / groupBytes));
    for (std::uint32_t at = 0; at < count; at += most) {
        const std::uint32_t some = std::min(most, count - at);
        const std::uint64_t tag =
            static_cast<std::uint64_t>(&job - jobs_.data()) << 32 | static_cast<std::uint32_t>(job.parts.size());
        job.parts.push_back({head, first + at, some});
        ++job.underWay;
        from_.reader.submit(tag, job.layer, head, first + at, some,
                            {payload(job, head, first + at), some * groupBytes});
        std::fill_n(job.read.begin() + (head * job.count + first + at - job.first), some, 1);
    }
}

Windows::Job& Windows::start(std::uint32_t layer, std::uint32_t first, std::uint32_t count) {
    const auto job = std::ranges::find_if(jobs_, [](const Job& each) { return !each.open; });
    *job = {layer, first, count, 0, true, std::move(job->parts), std::move(job->read)};
    job->parts.clear();
    job->read.assign(std::size_t{from_.shape.kvHeads} * count, 0);
    for (std::uint32_t head = 0; head < from_.shape.kvHeads; ++head) {
        const std::size_t row = std::size_t{layer} * from_.shape.kvHeads + head;
        std::uint32_t from = first;
        for (std::uint32_t group = first; group <= first + count; ++group) {
            const bool stays = group == first + count ||
                               from_.host.has(static_cast<std::uint32_t>(row * from_.capacityGroups + group)) ||
                               inDevice(row, group);
            if (!stays) continue;
            if (group > from) submit(*job, head, from, group - from);
            from = group + 1;
        }
    }
    return *job;
}

void Windows::reap(std::size_t atLeast) {
    for (const GroupReader::Done& done : from_.reader.reap(atLeast)) {
        Job& job = jobs_[done.tag >> 32];
        Part& part = job.parts[static_cast<std::uint32_t>(done.tag)];
        part.done = true;
        part.good = done.good;
        --job.underWay;
    }
}

void Windows::drain() {
    for (Job& job : jobs_) {
        while (job.underWay > 0) reap(1);
        job.open = false;
    }
    current_ = nullptr;
    has_ = false;
}

bool Windows::readNow(Job& job, std::uint32_t head, std::uint32_t group) {
    submit(job, head, group, 1);
    const std::size_t part = job.parts.size() - 1;
    while (!job.parts[part].done) reap(1);
    return job.parts[part].good;
}

bool Windows::finish(Job& job, TierCounters& counters, Bad& bad) {
    reap(0);
    for (const Part& part : job.parts)
        (part.done ? counters.disk.hits : counters.disk.misses) += std::uint64_t{part.count} * kGroupLeaves;
    if (job.underWay > 0) {
        const auto start = std::chrono::steady_clock::now();
        while (job.underWay > 0) reap(1);
        counters.disk.stallS += since(start);
    }
    for (std::size_t i = 0, parts = job.parts.size(); i < parts; ++i) {
        const Part part = job.parts[i];
        if (part.good) continue;
        for (std::uint32_t group = part.first; group < part.first + part.count; ++group)
            if (!readNow(job, part.head, group)) {
                bad = {job.layer, part.head, group};
                return false;
            }
        job.parts[i].good = true;
    }
    return true;
}

bool Windows::build(Job& job, TierCounters& counters, Bad& bad) {
    const bool f16 = from_.codec == KvCodec::F16;
    const std::uint32_t dim = from_.shape.headDim;
    std::byte* rows = rows_;
    runs_.begin(from_.shape, job.count);
    unpack_.clear();
    for (std::uint32_t head = 0; head < from_.shape.kvHeads; ++head) {
        const std::size_t row = std::size_t{job.layer} * from_.shape.kvHeads + head;
        for (std::uint32_t group = job.first; group < job.first + job.count; ++group) {
            const auto index = static_cast<std::uint32_t>(row * from_.capacityGroups + group);
            std::array<const std::byte*, kGroupLeaves> leaves{};
            if (!f16 && inDevice(row, group)) {
                for (std::uint32_t i = 0; i < kGroupLeaves; ++i) leaves[i] = from_.device.at(index * kGroupLeaves + i);
                counters.device.hits += kGroupLeaves;
                count(row, group, Tier::Device);
                runs_.add(head, group, from_.sketch.grid(row, group), leaves);
                continue;
            }
            counters.device.misses += kGroupLeaves;
            const bool inHost = from_.host.has(index);
            (inHost ? counters.host.hits : counters.host.misses) += kGroupLeaves;
            count(row, group, inHost ? Tier::Host : Tier::Disk);
            if (!inHost && job.read[head * job.count + group - job.first] == 0 && !readNow(job, head, group)) {
                bad = {job.layer, head, group};
                return false;
            }
            const std::byte* from = inHost ? from_.host.at(index) : payload(job, head, group);
            if (inHost) counters.host.bytesRead += from_.shape.groupBytes(from_.codec);
            if (f16) {
                runs_.add(head, group, from);
                continue;
            }
            for (std::uint32_t i = 0; i < kGroupLeaves; ++i) {
                unpack_.push_back(packedLeaf(from_.codec, dim, from, from_.sketch.codes(row, group), i, rows));
                leaves[i] = rows;
                rows += rowsBytes(dim);
            }
            runs_.add(head, group, from_.sketch.grid(row, group), leaves);
        }
    }
    return true;
}

void Windows::readAhead(std::uint32_t totalGroups) {
    std::uint32_t layer = layer_, next = first_ + count_;
    for (int ahead = 0; ahead < 2; ++ahead) {
        if (next >= totalGroups) {
            next = 0;
            layer = (layer + 1) % from_.shape.layers;  // a scan follows a scan: of the next token or batch
        }
        const std::uint32_t whole = totalGroups / kWindowStep * kWindowStep;
        const std::uint32_t count = next < whole ? std::min(stride_, whole - next) : totalGroups - next;
        if (find(layer, next, count) == nullptr) {
            if (std::ranges::all_of(jobs_, [](const Job& job) { return job.open; })) return;
            start(layer, next, count);
        }
        next += count;
    }
}

bool Windows::get(std::uint32_t layer, std::uint32_t first, std::uint32_t count, std::uint32_t totalGroups,
                  TierCounters& counters, Bad& bad) {
    if (has_ && layer_ == layer && first_ == first && count_ == count) return true;
    has_ = false;
    if (current_ != nullptr) {
        from_.backend.settle();  // f16 is attended where it was read to
        current_->open = false;
    }
    current_ = nullptr;
    if (first == 0) stride_ = count;
    Job* job = find(layer, first, count);
    if (job == nullptr) {
        drain();  // another scan than the one that was expected
        job = &start(layer, first, count);
    }
    if (!finish(*job, counters, bad) || !build(*job, counters, bad)) {
        drain();
        return false;
    }
    const bool f16 = from_.codec == KvCodec::F16;
    if (!f16) {
        const auto start = std::chrono::steady_clock::now();
        from_.backend.unpack(from_.codec, from_.shape.headDim, unpack_);
        from_.backend.settle();  // the payloads are read into again
        counters.host.stallS += since(start);
    }
    keep(*job);
    const std::uint64_t tokens = std::uint64_t{from_.shape.kvHeads} * count * kGroupTokens;
    counters.device.bytesRead += f16 ? tokens * 4 * from_.shape.headDim : attendedBytes(from_.shape.headDim, tokens);
    has_ = true;
    layer_ = layer;
    first_ = first;
    count_ = count;
    if (f16)
        current_ = job;
    else
        job->open = false;
    readAhead(totalGroups);
    return true;
}

void Windows::keep(const Job& job) {
    for (std::uint32_t head = 0; head < from_.shape.kvHeads; ++head)
        for (std::uint32_t group = job.first; group < job.first + job.count; ++group) {
            if (from_.host.freeSlots() == 0) return;
            if (job.read[head * job.count + group - job.first] == 0) continue;
            const std::size_t row = std::size_t{job.layer} * from_.shape.kvHeads + head;
            const auto index = static_cast<std::uint32_t>(row * from_.capacityGroups + group);
            if (!from_.host.has(index))
                std::memcpy(from_.host.insert(index), payload(job, head, group), from_.shape.groupBytes(from_.codec));
        }
}

}  // namespace carrel
