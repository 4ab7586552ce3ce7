FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /perennial ./cmd/perennial

FROM alpine:3.22
RUN adduser -D -u 10001 perennial
COPY --from=build /perennial /usr/local/bin/perennial
USER perennial
EXPOSE 8080
ENV PERENNIAL_ADDR=0.0.0.0:8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD wget -q -O /dev/null http://127.0.0.1:8080/readyz
ENTRYPOINT ["perennial"]
CMD ["serve"]
